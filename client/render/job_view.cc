#include "client/render/job_view.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/job_file/job_json.h"
#include "client/render/checkpoint_view.h"
#include "client/render/fractions_view.h"
#include "client/render/quantity.h"
#include "client/render/restart_view.h"
#include "client/render/table.h"
#include "client/render/use_view.h"
#include "client/render/version_view.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/job_model.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

using nlohmann::ordered_json;

// Of steps, by name; more are told by their range.
constexpr size_t kShownLengths = 6;

ordered_json TextOrNull(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

ordered_json NumberOrNull(bool known, double number) {
  return known && std::isfinite(number) ? ordered_json(number)
                                        : ordered_json(nullptr);
}

double TokensPerSecond(const JobInfo& info) {
  return info.mean_tokens_per_second() > 0 ? info.mean_tokens_per_second()
                                           : info.latest().tokens_per_second();
}

double BubbleFraction(const JobInfo& info) {
  return info.mean_tokens_per_second() > 0 ? info.mean_bubble_fraction()
                                           : info.latest().bubble_fraction();
}

std::string StepText(const JobInfo& info) {
  return absl::StrCat(info.latest().step(), "/", info.job().steps());
}

std::string LossOf(const JobInfo& info) {
  return info.latest().has_loss() ? LossText(info.latest().loss()) : "";
}

// That hold the stage.
std::vector<int> RanksOf(const Plan& plan, size_t stage) {
  const auto& placement = plan.schedule().placement();
  if (stage >= static_cast<size_t>(placement.size())) return {};
  const auto& ranks = placement[static_cast<int>(stage)].ranks();
  return {ranks.begin(), ranks.end()};
}

// Of float16 jobs alone.
std::string LossScaleText(const JobInfo& info) {
  if (info.latest().loss_scale() <= 0) return "";
  return absl::StrCat(info.latest().loss_scale());
}

// Of jobs that are evaluated.
std::string BestText(const JobInfo& info) {
  if (!info.has_best_step()) return "";
  return absl::StrCat("least loss ", LossText(info.best_evaluation_loss()),
                      " after step ", info.best_step());
}

std::string SkippedText(const JobInfo& info) {
  if (info.skipped_steps() == 0) return "";
  return absl::StrCat(
      info.skipped_steps(),
      info.skipped_steps() == 1 ? " step, its" : " steps, their",
      " gradients were not finite");
}

// Ranks of a continuous job agree on none.
bool HasGradientNorm(const JobInfo& info) {
  const std::string& policy = info.job().weights().policy();
  return info.has_latest() && !info.latest().skipped() &&
         (policy.empty() || policy == "flush");
}

// "name      value" lines; rows without a value are left out.
std::string Fields(
    const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, name.size());
  std::string text;
  for (const auto& [name, value] : rows) {
    if (value.empty()) continue;
    absl::StrAppend(&text, "  ", name,
                    std::string(width - name.size() + 2, ' '), value, "\n");
  }
  return text;
}

std::string RunTime(const JobInfo& info) {
  if (info.started_unix_nanos() == 0 || info.ended_unix_nanos() == 0) return "";
  return SecondsText(1e-9 * static_cast<double>(info.ended_unix_nanos() -
                                                info.started_unix_nanos()));
}

// Empty once the job has ended: its servers may be anywhere.
std::string RankStateText(const RankInfo& rank) {
  return rank.state() == SERVER_STATE_UNSPECIFIED ? ""
                                                  : StateName(rank.state());
}

std::string ModelText(const Job& job) {
  if (!job.has_emulate()) return job.model().preset();
  return absl::StrCat("emulated devices, ", job.emulate().model());
}

std::string DataText(const Job& job) {
  if (job.has_emulate()) return "";
  const DataSpec& data = job.data();
  return data.tokens().empty() ? absl::StrCat(data.kind(), ", made up")
                               : data.tokens();
}

// "batch_norm (9 layers)": what of the model a split backward does not split.
// Empty where all can be.
std::string UnsplitKinds(const Job& job) {
  const absl::StatusOr<Graph> graph = MakeModel(RequestOf(job));
  if (!graph.ok()) return "";
  std::map<std::string, int> count;
  for (const LayerSpec& layer : graph->layers) {
    if (!SplitsBackward(layer)) ++count[layer.kind];
  }
  return absl::StrJoin(
      count, ", ",
      [](std::string* out, const std::pair<std::string, int>& row) {
        absl::StrAppend(out, row.first, " (", row.second,
                        row.second == 1 ? " layer)" : " layers)");
      });
}

std::string StagesText(const PartitionSpec& partition) {
  std::string text = absl::StrCat(partition.stages(), " stages");
  if (partition.ranks() > 0 && partition.ranks() != partition.stages()) {
    absl::StrAppend(&text, " of ", partition.ranks(),
                    partition.ranks() == 1 ? " rank" : " ranks");
  }
  const auto& replicas = partition.replicas();
  if (std::any_of(replicas.begin(), replicas.end(),
                  [](int count) { return count > 1; })) {
    absl::StrAppend(&text, ", ", absl::StrJoin(replicas, ","), " replicas");
  }
  return text;
}

// "64", or "32, 64 or 128" where steps have several lengths.
std::string LengthText(const DataSpec& data) {
  const std::set<int> lengths(data.sequence_lengths().begin(),
                              data.sequence_lengths().end());
  if (lengths.size() < 2) return absl::StrCat(data.sequence_length());
  if (lengths.size() > kShownLengths) {
    return absl::StrCat("one of ", lengths.size(), " lengths from ",
                        *lengths.begin(), " to ", *lengths.rbegin());
  }
  const auto last = std::prev(lengths.end());
  return absl::StrCat(
      absl::StrJoin(std::vector<int>(lengths.begin(), last), ", "), " or ",
      *last);
}

// Empty for a server that takes ranks.
std::string DutyName(ServerDuty duty) {
  if (duty == SERVER_DUTY_UNSPECIFIED) return "";
  return std::string(absl::StripPrefix(ServerDuty_Name(duty), "SERVER_DUTY_"));
}

std::string BatchText(const Job& job) {
  const std::string length =
      job.data().kind() == "images" || job.has_emulate()
          ? ""
          : absl::StrCat(" of ", LengthText(job.data()), " tokens");
  return absl::StrCat(job.batch_size(), " samples", length, ", ",
                      job.schedule().microbatches(), " microbatches");
}

}  // namespace

std::string StateName(JobState state) {
  return std::string(absl::StripPrefix(JobState_Name(state), "JOB_STATE_"));
}

std::string StateName(ServerState state) {
  return std::string(
      absl::StripPrefix(ServerState_Name(state), "SERVER_STATE_"));
}

std::string StateText(const ServerInfo& server) {
  const std::string duty = DutyName(server.duty());
  return absl::StrCat(StateName(server.state()), duty.empty() ? "" : ",", duty);
}

bool IsTerminal(JobState state) {
  return state == JOB_STATE_SUCCEEDED || state == JOB_STATE_CANCELLED ||
         state == JOB_STATE_FAILED;
}

ordered_json JobInfoToJson(const JobInfo& info) {
  const bool stepped = info.has_latest();
  const ProgressRecord& latest = info.latest();
  ordered_json ranks = ordered_json::array();
  for (const RankInfo& rank : info.ranks()) {
    ordered_json& row = ranks.emplace_back(
        ordered_json{{"server_id", rank.server_id()},
                     {"server_name", rank.server_name()},
                     {"state", TextOrNull(RankStateText(rank))}});
    if (rank.has_predicted_memory()) {
      row["predicted_memory"] = MemoryToJson(rank.predicted_memory());
    }
    if (rank.use().has_memory()) {
      row["memory"] = MemoryToJson(rank.use().memory());
    }
  }
  ordered_json json = {
      {"id", info.id()},
      {"name", info.job().name()},
      {"state", StateName(info.state())},
      {"reason", info.reason()},
      {"step", latest.step()},
      {"steps", info.job().steps()},
      {"loss", NumberOrNull(latest.has_loss(), latest.loss())},
      {"gradient_norm",
       NumberOrNull(HasGradientNorm(info), latest.gradient_norm())},
      {"learning_rate", NumberOrNull(stepped, latest.learning_rate())},
      {"tokens_per_second", NumberOrNull(stepped, TokensPerSecond(info))},
      {"bubble_fraction", NumberOrNull(stepped, BubbleFraction(info))},
      {"step_seconds", NumberOrNull(stepped, latest.step_seconds())},
      {"loss_scale",
       NumberOrNull(latest.loss_scale() > 0, latest.loss_scale())},
      {"skipped_steps", info.skipped_steps()},
      {"best_step", info.has_best_step() ? ordered_json(info.best_step())
                                         : ordered_json(nullptr)},
      {"best_evaluation_loss",
       NumberOrNull(info.has_best_step(), info.best_evaluation_loss())},
      {"fractions", info.has_fractions() ? FractionsToJson(info.fractions())
                                         : ordered_json(nullptr)},
      {"weights_digest", TextOrNull(info.weights_digest())},
      {"started_from", StartToJson(info)},
      {"checkpoints", CheckpointProgressToJson(info)},
      {"in_memory", MemoryProgressToJson(info)},
      {"epoch", info.epoch()},
      {"restarts", RestartsToJson(info)},
      {"submitted", TextOrNull(StableTimeText(info.submitted_unix_nanos()))},
      {"started", TextOrNull(StableTimeText(info.started_unix_nanos()))},
      {"ended", TextOrNull(StableTimeText(info.ended_unix_nanos()))},
      {"ranks", std::move(ranks)},
      {"job", JobToJson(info.job())},
  };
  if (info.has_plan()) {
    json["plan"] = PlanToJson(info.plan());
    json["edges"] = EdgesToJson(info);
  }
  return json;
}

ordered_json PlanToJson(const Plan& plan) {
  ordered_json stages = ordered_json::array();
  for (const StagePlan& stage : plan.stages()) {
    stages.push_back(
        {{"layers", std::vector<std::string>(stage.layers().begin(),
                                             stage.layers().end())},
         {"parameter_count", stage.parameter_count()},
         {"ranks", RanksOf(plan, stages.size())}});
  }
  return {{"stages", std::move(stages)},
          {"schedule", plan.schedule().name()},
          {"microbatches", plan.schedule().num_microbatches()},
          {"schedule_hash", plan.schedule_hash()},
          {"weight_versions", VersionsToJson(plan)}};
}

ordered_json ServerToJson(const ServerInfo& server) {
  return {{"id", server.id()},
          {"name", server.name()},
          {"state", StateName(server.state())},
          {"reason", server.reason()},
          {"duty", TextOrNull(DutyName(server.duty()))},
          {"duty_reason", TextOrNull(server.duty_reason())},
          {"drain_deadline",
           TextOrNull(StableTimeText(server.drain_deadline_unix_nanos()))},
          {"device", server.device()},
          {"memory", server.memory_bytes() == 0
                         ? ordered_json(nullptr)
                         : ordered_json(server.memory_bytes())},
          {"address", server.address()},
          {"build_version", server.build_version()},
          {"job_id", TextOrNull(server.job_id())},
          {"rank", server.job_id().empty() ? ordered_json(nullptr)
                                           : ordered_json(server.rank())},
          {"last_heard",
           TextOrNull(StableTimeText(server.last_heard_unix_nanos()))}};
}

ordered_json EventToJson(const Event& event) {
  return {{"sequence", event.sequence()},
          {"time", StableTimeText(event.time_unix_nanos())},
          {"kind", event.kind()},
          {"job_id", TextOrNull(event.job_id())},
          {"server_id", TextOrNull(event.server_id())},
          {"job_epoch", event.job_epoch()},
          {"message", event.message()}};
}

ordered_json LogLineToJson(const LogLine& line) {
  return {
      {"sequence", line.sequence()},
      {"time", StableTimeText(line.time_unix_nanos())},
      {"rank", line.rank()},
      {"stages", std::vector<int>(line.stages().begin(), line.stages().end())},
      {"level", line.level()},
      {"text", line.text()}};
}

std::string JobTable(const std::vector<JobInfo>& jobs, absl::Time now,
                     bool wide) {
  std::vector<std::string> heading = {"ID",   "NAME",  "STATE", "STEP",
                                      "LOSS", "TOK/S", "AGE"};
  if (wide) {
    heading.insert(heading.end(), {"PRIORITY", "MODEL", "SCHEDULE", "STAGES",
                                   "BUBBLE", "EPOCH"});
  }
  heading.push_back("REASON");
  std::vector<std::vector<std::string>> rows;
  for (const JobInfo& info : jobs) {
    const Job& job = info.job();
    std::vector<std::string> row = {
        info.id(),
        job.name(),
        StateName(info.state()),
        StepText(info),
        LossOf(info),
        info.has_latest() ? RateText(TokensPerSecond(info)) : "",
        AgeText(info.submitted_unix_nanos(), now)};
    if (wide) {
      row.insert(row.end(),
                 {absl::StrCat(job.priority()),
                  job.has_emulate() ? "(emulated)" : job.model().preset(),
                  job.schedule().name(), absl::StrCat(job.partition().stages()),
                  info.has_latest() ? PercentText(BubbleFraction(info)) : "",
                  absl::StrCat(info.epoch())});
    }
    row.push_back(info.reason());
    rows.push_back(std::move(row));
  }
  return RenderTable(heading, rows);
}

std::string ServerTable(const std::vector<ServerInfo>& servers, absl::Time now,
                        bool wide) {
  std::vector<std::string> heading = {"ID",  "NAME", "STATE", "DEVICE",
                                      "JOB", "RANK", "HEARD"};
  if (wide) {
    heading.insert(heading.end(), {"MEMORY", "ADDRESS", "VERSION", "REASON"});
  }
  std::vector<std::vector<std::string>> rows;
  for (const ServerInfo& server : servers) {
    std::vector<std::string> row = {
        server.id(),
        server.name(),
        StateText(server),
        server.device(),
        server.job_id(),
        server.job_id().empty() ? "" : absl::StrCat(server.rank()),
        AgeText(server.last_heard_unix_nanos(), now)};
    if (wide) {
      row.insert(
          row.end(),
          {server.memory_bytes() == 0 ? "" : BytesText(server.memory_bytes()),
           server.address(), server.build_version(),
           server.reason().empty() ? server.duty_reason() : server.reason()});
    }
    rows.push_back(std::move(row));
  }
  return RenderTable(heading, rows);
}

std::string DescribeJob(const JobInfo& info, absl::TimeZone zone) {
  const Job& job = info.job();
  const ProgressRecord& latest = info.latest();
  const bool stepped = info.has_latest();
  std::string text = absl::StrCat(
      job.name(), " (", info.id(), "): ", StateName(info.state()), "\n",
      Fields({
          {"reason", info.reason()},
          {"step", StepText(info)},
          {"loss", LossOf(info)},
          {"held out", BestText(info)},
          {"gradient norm", HasGradientNorm(info) && !job.has_emulate()
                                ? LossText(latest.gradient_norm())
                                : ""},
          {"loss scale", LossScaleText(info)},
          {"skipped", SkippedText(info)},
          {"throughput",
           stepped ? absl::StrCat(RateText(TokensPerSecond(info)), " tokens/s")
                   : ""},
          {"bubble", stepped ? PercentText(BubbleFraction(info)) : ""},
          {"fractions", FractionsText(info.fractions())},
          {"step time", stepped ? SecondsText(latest.step_seconds()) : ""},
          {"weights", info.weights_digest()},
          {"model", ModelText(job)},
          {"data", DataText(job)},
          {"batch", BatchText(job)},
          {"schedule", absl::StrCat(job.schedule().name(), " on ",
                                    StagesText(job.partition()))},
          {"versions", WeightPolicyText(job)},
          {"unsplit kinds", UnsplitKinds(job)},
          {"priority", job.priority() == 0 ? "" : absl::StrCat(job.priority())},
          {"starts from", StartText(info)},
          {"checkpoints", CheckpointProgressText(info)},
          {"in memory", MemoryProgressText(info)},
          {"epoch", absl::StrCat(info.epoch())},
          {"restarts", RestartsText(info)},
          {"submitted", TimeText(info.submitted_unix_nanos(), zone)},
          {"started", TimeText(info.started_unix_nanos(), zone)},
          {"ended", TimeText(info.ended_unix_nanos(), zone)},
      }));
  if (info.ranks_size() > 0) {
    std::vector<std::vector<std::string>> rows;
    for (int rank = 0; rank < info.ranks_size(); ++rank) {
      const RankInfo& held = info.ranks(rank);
      rows.push_back({absl::StrCat(rank), held.server_name(),
                      RankStateText(held), held.server_id()});
    }
    absl::StrAppend(&text, "\n",
                    RenderTable({"RANK", "SERVER", "STATE", "ID"}, rows));
  }
  for (const std::string& table :
       {RestartTable(info, zone), MemoryTable(info), EdgeTable(info)}) {
    if (!table.empty()) absl::StrAppend(&text, "\n", table);
  }
  if (info.has_plan()) absl::StrAppend(&text, "\n", DescribePlan(info.plan()));
  return text;
}

std::string JobSummary(const JobInfo& info) {
  const Job& job = info.job();
  const bool stepped = info.has_latest();
  return absl::StrCat(
      job.name(), " (", info.id(),
      "): ", absl::AsciiStrToLower(StateName(info.state())), "\n",
      Fields({
          {"devices", job.has_emulate() ? "emulated" : ""},
          {"reason", info.state() == JOB_STATE_SUCCEEDED ? "" : info.reason()},
          {"step", absl::StrCat(info.latest().step(), " of ", job.steps())},
          {"loss", LossOf(info)},
          {"held out", BestText(info)},
          {"throughput",
           stepped ? absl::StrCat(RateText(TokensPerSecond(info)), " tokens/s")
                   : ""},
          {"bubble", stepped ? PercentText(BubbleFraction(info)) : ""},
          {"loss scale", LossScaleText(info)},
          {"skipped", SkippedText(info)},
          {"versions", info.has_plan() ? LatenessText(info.plan()) : ""},
          {"fractions", FractionsText(info.fractions())},
          {"memory", PeakMemoryText(info)},
          {"restarts", RestartsText(info)},
          {"time", RunTime(info)},
          {"weights", info.weights_digest().empty()
                          ? ""
                          : absl::StrCat("sha256 ", info.weights_digest())},
      }));
}

std::string DescribePlan(const Plan& plan) {
  std::vector<std::vector<std::string>> rows;
  for (int stage = 0; stage < plan.stages_size(); ++stage) {
    const StagePlan& part = plan.stages(stage);
    rows.push_back(
        {absl::StrCat(stage), absl::StrJoin(RanksOf(plan, stage), ","),
         CountText(part.parameter_count()), absl::StrJoin(part.layers(), " ")});
  }
  const std::string versions = VersionTable(plan);
  return absl::StrCat(
      RenderTable({"STAGE", "RANKS", "PARAMETERS", "LAYERS"}, rows),
      versions.empty() ? "" : absl::StrCat("\n", versions, "\n"), "schedule ",
      plan.schedule().name(), ", ", plan.schedule().num_microbatches(),
      " microbatches, sha256 ", plan.schedule_hash(), "\n");
}

std::string EventNote(const Event& event) {
  const std::string kind = absl::AsciiStrToLower(absl::StrReplaceAll(
      absl::StripPrefix(event.kind(), "JOB_"), {{"_", " "}}));
  return absl::StrCat(kind, event.message().empty() ? "" : ": ",
                      event.message());
}

std::string EventLine(const Event& event, absl::TimeZone zone) {
  std::string about;
  if (!event.job_id().empty()) absl::StrAppend(&about, " job ", event.job_id());
  if (!event.server_id().empty()) {
    absl::StrAppend(&about, " server ", event.server_id());
  }
  return absl::StrCat(TimeText(event.time_unix_nanos(), zone), "  ",
                      event.kind(), about, ": ", event.message());
}

std::string LogLineText(const LogLine& line, absl::TimeZone zone) {
  return absl::StrCat(TimeText(line.time_unix_nanos(), zone), " rank ",
                      line.rank(), " [", absl::StrJoin(line.stages(), ","),
                      "] ", line.level(), ": ", line.text());
}

}  // namespace penstock
