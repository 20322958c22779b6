#include "tests/simulation/auditor.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/layout/layout.h"
#include "coordinator/core/job_machine.h"
#include "tests/simulation/training.h"

namespace penstock::simulation {
namespace {

bool HasRanks(JobState state) {
  return state == JOB_STATE_LOADING || state == JOB_STATE_RUNNING ||
         state == JOB_STATE_SUSPENDING || state == JOB_STATE_COMPLETING;
}

// What must be durable of a job whenever something is said.
template <typename Checkpoints>
std::string FingerprintOf(const JobInfo& info, const Checkpoints& checkpoints,
                          const std::string& ranks, int64_t furthest,
                          const std::string& relieves) {
  std::string text =
      absl::StrCat(Name(info.state()), " epoch ", info.epoch(), " on ", ranks,
                   " from ", info.started_from().checkpoint().step(), "/",
                   info.started_from().checkpoint().epoch(),
                   info.started_from().in_memory() ? "m" : "", " restarts ",
                   info.restart_count(), "/", info.restarts_in_row(), " next ",
                   info.checkpoints().next_step(), " furthest ", furthest,
                   " relieves ", relieves);
  for (const CheckpointInfo& entry : checkpoints) {
    absl::StrAppend(&text, " ", entry.id().step(), "/", entry.id().epoch(),
                    Name(entry.state()), entry.pinned() ? "p" : "");
  }
  return text;
}

std::string FingerprintOf(const JobRow& row) {
  std::string ranks;
  for (const RankRow& rank : row.ranks()) {
    absl::StrAppend(&ranks, rank.server_id(), "#", rank.incarnation(),
                    rank.has_finished() ? "! " : " ");
  }
  return FingerprintOf(row.info(), row.checkpoints(), ranks,
                       row.furthest_step(), row.relieves());
}

std::string FingerprintOf(const JobRecord& job) {
  std::string ranks;
  for (const RankRun& rank : job.ranks) {
    absl::StrAppend(&ranks, rank.server_id, "#", rank.incarnation,
                    rank.finished ? "! " : " ");
  }
  return FingerprintOf(job.info, job.checkpoints, ranks, job.furthest_step,
                       job.relieves);
}

std::string FingerprintOf(const ServerInfo& info, ServerState activity,
                          bool releasing, int64_t epoch) {
  return absl::StrCat(Name(info.state()), "/", Name(activity), " #",
                      info.incarnation(), " in ", info.job_id(), " rank ",
                      info.rank(), " epoch ", epoch,
                      releasing ? " releasing" : "");
}

std::string FingerprintOf(const ServerRow& row) {
  return FingerprintOf(row.info(), row.activity(), row.releasing(),
                       row.job_epoch());
}

std::string FingerprintOf(const ServerRecord& server) {
  return FingerprintOf(server.info, server.activity, server.releasing,
                       server.job_epoch);
}

const CheckpointInfo* Find(const JobRow& row, const CheckpointId& id) {
  for (const CheckpointInfo& info : row.checkpoints()) {
    if (info.id().step() == id.step() && info.id().epoch() == id.epoch()) {
      return &info;
    }
  }
  return nullptr;
}

// Reasons for which a job may fail that may be started again.
bool IsGoodReason(const std::string& reason, bool is_lossy) {
  constexpr std::array<const char*, 6> kGood = {
      "which is all that restart.limit allows",
      kDeviceError,
      "cannot be read, and there is no older one",
      "checkpoints that it has made are damaged or deleted",
      "the checkpoint of the last step could not be kept",
      "what it was submitted with is gone",
  };
  if (is_lossy && absl::StrContains(reason, "it waited too long")) return true;
  return std::any_of(kGood.begin(), kGood.end(), [&reason](const char* text) {
    return absl::StrContains(reason, text);
  });
}

}  // namespace

void Auditor::Report(absl::string_view invariant, const std::string& what) {
  if (!violation_) violation_ = {std::string(invariant), what};
}

void Auditor::Started() {
  has_restarted_ = term_ > 0;
  known_.clear();
  for (const auto& [id, job] : durable_) {
    known_[id] = {job.row.info().state(), job.row.info().epoch()};
  }
}

// ---- The state after an event ---------------------------------------------

void Auditor::Look(const ClusterState& state) {
  for (const auto& [id, job] : state.jobs) LookAtJob(state, job);
  for (const auto& [id, known] : known_) {
    if (!state.jobs.contains(id)) Report("no job is forgotten", id);
  }
}

void Auditor::LookAtJob(const ClusterState& state, const JobRecord& job) {
  const std::string& id = job.info.id();
  KnownJob& known = known_[id];
  const JobState now = job.info.state();
  if (known.state != now) {
    if (IsTerminal(known.state)) {
      Report("terminal states absorb",
             absl::StrCat(id, " was ", Name(known.state), ", is ", Name(now)));
    }
    ++seen_[absl::StrCat("job ", Name(known.state), " > ", Name(now))];
    known.state = now;
  }
  if (job.info.epoch() < known.epoch) {
    Report(
        "epochs and terms only grow",
        absl::StrCat(id, ": epoch ", job.info.epoch(), " after ", known.epoch));
  }
  known.epoch = job.info.epoch();
  const bool needs_reason =
      now == JOB_STATE_RECOVERING || now == JOB_STATE_FAILED;
  if (needs_reason && job.info.reason().empty()) {
    Report("every restart and every failure has a reason",
           absl::StrCat(id, " is ", Name(now)));
  }
  if (HasRanks(now)) LookAtRanks(state, job);
}

void Auditor::LookAtRanks(const ClusterState& state, const JobRecord& job) {
  constexpr char kInvariant[] =
      "each rank of a job has a server of its own, which has no other";
  const std::string& id = job.info.id();
  if (static_cast<int>(job.ranks.size()) != job.num_ranks()) {
    return Report(kInvariant, absl::StrCat(id, " has ", job.ranks.size(),
                                           " ranks of ", job.num_ranks()));
  }
  for (size_t rank = 0; rank < job.ranks.size(); ++rank) {
    const RankRun& run = job.ranks[rank];
    const auto found = state.servers.find(run.server_id);
    if (found == state.servers.end()) {
      return Report(kInvariant,
                    absl::StrCat(id, ": no server ", run.server_id));
    }
    const ServerRecord& server = found->second;
    if (server.info.job_id() == id &&
        server.info.rank() == static_cast<int>(rank) &&
        server.job_epoch == job.info.epoch() && !server.releasing &&
        server.info.incarnation() == run.incarnation &&
        server.info.state() != SERVER_STATE_LOST) {
      continue;
    }
    return Report(
        kInvariant,
        absl::StrCat(id, " is ", Name(job.info.state()), " in epoch ",
                     job.info.epoch(), ", rank ", rank, " is ", run.server_id,
                     ", which is ", FingerprintOf(server)));
  }
}

// ---- What becomes durable -------------------------------------------------

void Auditor::Written(const ClusterState& state, const WriteBatch& batch) {
  if (batch.term) {
    if (*batch.term <= term_) {
      Report("epochs and terms only grow",
             absl::StrCat("term ", *batch.term, " after ", term_));
    }
    term_ = *batch.term;
  }
  for (const auto& [id, last] : batch.kept_steps) {
    DurableJob& job = durable_[id];
    job.has_gap = job.has_gap || last > job.last_step;
    job.last_step = last;
  }
  for (const NewStep& step : batch.steps) CheckStep(state, step);
  for (const JobRow& row : batch.jobs) CheckRow(row);
  for (const ServerRow& row : batch.servers) {
    durable_servers_[row.info().id()] = FingerprintOf(row);
  }
  CheckDurable(state);
}

void Auditor::CheckRow(const JobRow& row) {
  DurableJob& durable = durable_[row.info().id()];
  CheckCheckpoints(durable.row, row);
  for (const RestartReport& report : row.info().restarts()) {
    if (report.evidence().empty() ||
        report.cause() == RESTART_CAUSE_UNSPECIFIED) {
      Report("every restart and every failure has a reason", row.info().id());
    }
  }
  const bool has_ended =
      IsTerminal(row.info().state()) && !IsTerminal(durable.row.info().state());
  durable.row = row;
  durable.fingerprint = FingerprintOf(row);
  if (has_ended) CheckEnd(row);
}

void Auditor::CheckCheckpoints(const JobRow& before, const JobRow& row) {
  constexpr char kInvariant[] =
      "a committed checkpoint goes only by retention, by request or by damage";
  for (const CheckpointInfo& old : before.checkpoints()) {
    if (old.state() != CHECKPOINT_STATE_COMMITTED) continue;
    const std::string name = absl::StrCat(row.info().id(), "@", old.id().step(),
                                          " of epoch ", old.id().epoch());
    const CheckpointInfo* const now = Find(row, old.id());
    if (now == nullptr) {
      Report(kInvariant, absl::StrCat(name, " is not listed any more"));
      continue;
    }
    switch (now->state()) {
      case CHECKPOINT_STATE_COMMITTED:
        continue;
      case CHECKPOINT_STATE_CORRUPT:
        if (files_.IsWhole(old.id())) {
          Report(kInvariant, absl::StrCat(name, " is whole, and said to be ",
                                          "damaged: ", now->reason()));
        }
        continue;
      case CHECKPOINT_STATE_EXPIRING:
      case CHECKPOINT_STATE_DELETED:
        break;
      default:
        Report(kInvariant, absl::StrCat(name, " is ", Name(now->state())));
        continue;
    }
    const bool has_newer =
        std::any_of(row.checkpoints().begin(), row.checkpoints().end(),
                    [&old](const CheckpointInfo& other) {
                      return other.state() == CHECKPOINT_STATE_COMMITTED &&
                             other.id().step() >= old.id().step();
                    });
    const bool is_asked = absl::StrContains(now->reason(), "on request");
    if (!is_asked && (!has_newer || old.pinned())) {
      Report(kInvariant, absl::StrCat(name, " expired: ", now->reason()));
    }
  }
}

void Auditor::CheckEnd(const JobRow& row) {
  const JobInfo& info = row.info();
  const std::string name =
      absl::StrCat(info.id(), " is ", Name(info.state()), ": ", info.reason());
  if (info.state() == JOB_STATE_CANCELLED && !cancelled_.contains(info.id())) {
    Report("who asked for nothing gets nothing", name);
  }
  if (info.state() == JOB_STATE_FAILED && info.job().restart().limit() > 0 &&
      !IsGoodReason(info.reason(), options_.is_lossy)) {
    Report("a job fails only for what would happen again", name);
  }
  if (info.state() != JOB_STATE_SUCCEEDED) return;
  const int64_t steps = info.job().steps();
  if (durable_[info.id()].last_step != steps) {
    Report("a job that has succeeded has made all of its steps",
           absl::StrCat(name, ", after step ", durable_[info.id()].last_step,
                        " of ", steps));
  }
  if (info.weights_digest() != DigestAfter(steps)) {
    Report("the weights are those of a run without failures", name);
  }
  if (!info.job().has_checkpoint()) return;
  const bool is_kept =
      std::any_of(row.checkpoints().begin(), row.checkpoints().end(),
                  [this, steps](const CheckpointInfo& entry) {
                    return entry.id().step() == steps &&
                           entry.state() == CHECKPOINT_STATE_COMMITTED &&
                           files_.IsCommitted(entry.id());
                  });
  if (!is_kept) {
    Report("a job that has succeeded has its last checkpoint", name);
  }
}

void Auditor::CheckStep(const ClusterState& state, const NewStep& step) {
  constexpr char kOnce[] = "a step is counted once, and in order";
  DurableJob& job = durable_[step.job_id];
  const ProgressRecord& record = step.row.record();
  const std::string name = absl::StrCat(step.job_id, " step ", record.step());
  if (record.step() != job.last_step + 1) {
    Report(kOnce, absl::StrCat(name, " follows step ", job.last_step));
  }
  job.last_step = record.step();
  job.counted.insert(record.step());
  const auto counted = std::count_if(job.counted.begin(), job.counted.end(),
                                     [](int64_t one) { return one > 1; });
  const int64_t sum = step.row.totals().steps();
  // Fewer after a restart of the coordinator, which knows the sums of the step
  // that it was set back to.
  if (sum > counted || (sum < counted && !job.has_gap && !has_restarted_)) {
    Report(kOnce, absl::StrCat(name, ": ", sum,
                               " steps are counted, it has made ", counted));
  }
  // The ranks' reports say in which epoch they were made (executor.cc).
  const int64_t epoch = state.jobs.at(step.job_id).info.epoch();
  const double tokens = record.tokens_per_second() * record.step_seconds();
  const double wanted = static_cast<double>(epoch);
  if (std::abs(tokens - wanted) > 0.01 ||
      std::abs(record.bubble_fraction() * 1000 - wanted) > 0.01) {
    Report(
        "only the present epoch has effects",
        absl::StrCat(name, ", counted in epoch ", epoch, ", was made in epoch ",
                     std::llround(tokens), " (mean over the ranks ",
                     record.bubble_fraction() * 1000, ")"));
  }
}

void Auditor::CheckDurable(const ClusterState& state) {
  constexpr char kInvariant[] = "what is known is durable before it is said";
  for (const auto& [id, job] : state.jobs) {
    const std::string now = FingerprintOf(job);
    if (durable_[id].fingerprint == now) continue;
    Report(kInvariant, absl::StrCat(id, " is ", now, "; durable is ",
                                    durable_[id].fingerprint));
  }
  for (const auto& [id, server] : state.servers) {
    const std::string now = FingerprintOf(server);
    if (durable_servers_[id] == now) continue;
    Report(kInvariant, absl::StrCat(id, " is ", now, "; durable is ",
                                    durable_servers_[id]));
  }
}

// ---- What is said and asked -----------------------------------------------

void Auditor::Said(const std::string& server_id,
                   const CoordinatorMessage& message) {
  constexpr char kInvariant[] = "what is known is durable before it is said";
  const std::string& job_id =
      message.has_ack() ? message.ack().job_id() : message.desired().job_id();
  if (job_id.empty()) return;
  const DurableJob& job = durable_[job_id];
  const JobInfo& info = job.row.info();
  if (message.has_ack()) {
    if (message.ack().step() > job.last_step) {
      Report(kInvariant, absl::StrCat(job_id, " step ", message.ack().step(),
                                      " is acknowledged"));
    }
    return;
  }
  const DesiredState& desired = message.desired();
  if (desired.goal() == DesiredState::BE_IDLE) {
    if (!IsTerminal(info.state())) {
      Report(kInvariant, absl::StrCat(server_id, " may forget ", job_id,
                                      ", which is ", Name(info.state())));
    }
    return;
  }
  if (HasRanks(info.state()) && info.epoch() == message.fence().job_epoch() &&
      desired.rank() < job.row.ranks_size() &&
      job.row.ranks(desired.rank()).server_id() == server_id) {
    return;
  }
  Report(kInvariant,
         absl::StrCat(server_id, " is to be rank ", desired.rank(), " of ",
                      job_id, " in epoch ", message.fence().job_epoch(),
                      "; durable is ", job.fingerprint));
}

void Auditor::Asked(const CheckpointWork& work) {
  constexpr char kInvariant[] = "what is known is durable before it is said";
  if (const auto* commit = std::get_if<CommitCheckpoint>(&work)) {
    const CheckpointId& id = commit->manifest.id();
    const CheckpointInfo* const entry = Find(durable_[id.job_id()].row, id);
    if (entry == nullptr || (entry->state() != CHECKPOINT_STATE_SHARDS_DONE &&
                             entry->state() != CHECKPOINT_STATE_ABANDONED)) {
      Report(kInvariant, absl::StrCat("COMMIT of ", Describe(id)));
    }
  } else if (const auto* remove = std::get_if<RemoveCheckpoint>(&work)) {
    const CheckpointId& id = remove->id;
    const CheckpointInfo* const entry = Find(durable_[id.job_id()].row, id);
    if (entry == nullptr || entry->state() != CHECKPOINT_STATE_EXPIRING) {
      Report(kInvariant, absl::StrCat("removal of ", Describe(id)));
    }
  } else if (const auto* begin = std::get_if<BeginStoreEpoch>(&work)) {
    const int64_t epoch = durable_[begin->job_id].row.info().epoch();
    if (begin->epoch > epoch + 1) {
      Report(kInvariant, absl::StrCat("epoch ", begin->epoch, " of ",
                                      begin->job_id, " begins in the store"));
    }
  }
}

// ---- The end --------------------------------------------------------------

void Auditor::AtEnd(const ClusterState& state) {
  for (const auto& [id, job] : state.jobs) {
    ++seen_[absl::StrCat("ended ", Name(job.info.state()))];
    if (!IsTerminal(job.info.state())) {
      Report("every job comes to an end once nothing goes wrong",
             absl::StrCat(id, " is ", Name(job.info.state()), " in epoch ",
                          job.info.epoch(), " at step ",
                          job.info.latest().step(), ": ", job.info.reason()));
    }
    for (const CheckpointId& stored : files_.List(id)) {
      const CheckpointInfo* const entry = Find(durable_[id].row, stored);
      if (entry != nullptr && entry->state() != CHECKPOINT_STATE_ABANDONED &&
          entry->state() != CHECKPOINT_STATE_DELETED) {
        continue;
      }
      Report("what is complete in the store is in the catalog",
             Describe(stored));
    }
    for (const CheckpointInfo& entry : job.checkpoints) {
      if (entry.state() == CHECKPOINT_STATE_COMMITTED &&
          !files_.IsCommitted(entry.id())) {
        Report("what is complete in the catalog is in the store",
               Describe(entry.id()));
      }
    }
  }
  for (const auto& [id, server] : state.servers) {
    if (server.info.state() != SERVER_STATE_IDLE) {
      Report("every server is idle in the end",
             absl::StrCat(id, " is ", FingerprintOf(server)));
    }
  }
}

}  // namespace penstock::simulation
