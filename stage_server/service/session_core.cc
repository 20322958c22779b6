#include "stage_server/service/session_core.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace penstock {
namespace {

using Level = WriteLog::Level;

std::string Text(const absl::Status& status) {
  return status.message().empty() ? status.ToString()
                                  : std::string(status.message());
}

absl::Duration SecondsOr(double seconds, absl::Duration otherwise) {
  return seconds > 0 ? absl::Seconds(seconds) : otherwise;
}

// The addresses by rank; INVALID_ARGUMENT if one is missing or doubled.
absl::StatusOr<std::vector<DataAddress>> PeersByRank(
    const DesiredState& desired) {
  const int ranks = desired.plan().schedule().ranks_size();
  std::vector<DataAddress> peers(ranks);
  std::vector<bool> known(ranks, false);
  for (const PeerAddress& peer : desired.peers()) {
    const int rank = peer.rank();
    if (rank < 0 || rank >= ranks || known[rank]) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the address list names rank %d, which is %s of %d ranks", rank,
          rank >= 0 && rank < ranks ? "named twice" : "outside", ranks));
    }
    known[rank] = true;
    peers[rank] = peer.address();
  }
  for (int rank = 0; rank < ranks; ++rank) {
    if (known[rank]) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("the address list of %d ranks lacks rank %d",
                        desired.peers_size(), rank));
  }
  return peers;
}

}  // namespace

std::string ToString(const EpochKey& epoch) {
  return absl::StrCat(epoch.job_id, " epoch ", epoch.job_epoch);
}

bool SameTier(const std::optional<MemoryTier>& a,
              const std::optional<MemoryTier>& b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() == b.has_value();
  return a->every_steps() == b->every_steps() &&
         a->from_step() == b->from_step() &&
         a->peer_address() == b->peer_address() && a->token() == b->token();
}

SessionCore::SessionCore(ServerIdentity identity, SessionLimits limits)
    : identity_(std::move(identity)),
      limits_(limits),
      backoff_(limits.first_backoff),
      heartbeat_(limits.heartbeat),
      grace_(limits.grace) {}

std::vector<Effect> SessionCore::Start(absl::Time now) {
  now_ = now;
  offline_since_ = now;
  Register();
  return std::exchange(effects_, {});
}

std::vector<Effect> SessionCore::Apply(const Event& event, absl::Time now) {
  if (exited_) return {};
  now_ = now;
  std::visit([this](const auto& what) { On(what); }, event);
  return std::exchange(effects_, {});
}

absl::Time SessionCore::next_wake() const {
  absl::Time wake = std::min({stop_at_, leave_at_, forget_at_});
  if (link_ == Link::kOffline) wake = std::min(wake, retry_at_);
  if (link_ == Link::kOpen) {
    wake = std::min({wake, heartbeat_at_, flush_at_});
  } else if (epoch_.has_value() && !epoch_->leaving) {
    wake = std::min(wake, offline_since_ + grace_);
  }
  return wake;
}

// ---- The session ----------------------------------------------------------

void SessionCore::Register() {
  link_ = Link::kRegistering;
  retry_at_ = absl::InfiniteFuture();
  RegisterRequest request;
  request.mutable_fence()->set_coordinator_term(term_);
  request.set_idempotency_key(
      absl::StrFormat("%016x-%d", identity_.incarnation, registrations_ + 1));
  request.set_server_id(identity_.server_id);
  request.set_name(identity_.name);
  request.set_incarnation(identity_.incarnation);
  request.set_build_version(identity_.build_version);
  request.set_device(identity_.device);
  request.set_host_identity(identity_.host_identity);
  request.set_cores(identity_.cores);
  request.set_memory_bytes(identity_.memory_bytes);
  request.set_memory_address(identity_.memory_address);
  *request.mutable_host() = identity_.host;
  request.mutable_host()->set_unix_nanos(absl::ToUnixNanos(now_));
  if (epoch_.has_value()) {
    request.mutable_fence()->set_job_epoch(epoch_->key.job_epoch);
    request.set_job_id(epoch_->key.job_id);
    request.set_job_epoch(epoch_->key.job_epoch);
  }
  effects_.push_back(CallRegister{std::move(request)});
}

void SessionCore::On(const Registered& event) {
  if (link_ != Link::kRegistering || stopping_.has_value()) return;
  const RegisterResponse& response = event.response;
  if (response.coordinator_term() < term_) {
    Disconnected(absl::AbortedError(absl::StrFormat(
        "the coordinator that answered is of term %d, this server has seen "
        "term %d; waiting for the newer one",
        response.coordinator_term(), term_)));
    return;
  }
  term_ = response.coordinator_term();
  heartbeat_ = SecondsOr(response.heartbeat_seconds(), limits_.heartbeat);
  grace_ = SecondsOr(response.grace_seconds(), limits_.grace);
  ++registrations_;
  ++session_;
  link_ = Link::kOpen;
  sent_sequence_ = 0;
  desired_sequence_ = 0;
  heartbeat_at_ = now_ + heartbeat_;
  offline_since_ = absl::InfiniteFuture();
  Log(Level::kInfo, absl::StrFormat("registered as %s, coordinator term %d",
                                    identity_.name, term_));
  trouble_.clear();
  effects_.push_back(OpenSession{session_});
  StageMessage hello;
  hello.mutable_hello()->set_server_id(identity_.server_id);
  Send(std::move(hello));
  // Before the status, by which the coordinator may choose what to start from.
  memory_sent_ = memory_.held_size() == 0;
  SendMemory();
  if (epoch_.has_value() && epoch_->leaving) {
    SendFault(epoch_->key, epoch_->error);
  } else {
    SendStatus();
    SendLeaving();
    if (epoch_.has_value()) epoch_->reports.StartSession();
    Flush();
  }
}

void SessionCore::On(const RegisterFailed& event) {
  if (link_ != Link::kRegistering) return;
  Disconnected(event.why);
}

void SessionCore::On(const SessionEnded& event) {
  if (link_ != Link::kOpen || event.session != session_) return;
  Disconnected(event.why.ok()
                   ? absl::UnavailableError("the coordinator ended the session")
                   : event.why);
}

void SessionCore::Disconnected(const absl::Status& why) {
  const bool had_session = link_ == Link::kOpen;
  link_ = Link::kOffline;
  if (stopping_.has_value()) return;
  if (had_session) offline_since_ = now_;
  if (why.code() == absl::StatusCode::kFailedPrecondition) {
    if (epoch_.has_value()) Leave(Text(why));
    ExitWith(absl::FailedPreconditionError(
        absl::StrCat("the coordinator refuses this server: ", Text(why))));
    return;
  }
  if (trouble_ != why.ToString()) {
    trouble_ = why.ToString();
    Log(Level::kWarning,
        absl::StrCat(had_session ? "lost the session with the coordinator"
                                 : "cannot register with the coordinator",
                     "; trying again until it is there: ", trouble_));
  }
  retry_at_ = now_ + backoff_;
  backoff_ = std::min(backoff_ * 2, limits_.max_backoff);
}

void SessionCore::On(const MessageReceived& event) {
  if (link_ != Link::kOpen || event.session != session_) return;
  const CoordinatorMessage& message = event.message;
  const int64_t term = message.fence().coordinator_term();
  if (term < term_) {
    Log(Level::kWarning,
        absl::StrFormat("refused a message of coordinator term %d; the "
                        "present term is %d",
                        term, term_));
    return;
  }
  term_ = term;
  backoff_ = limits_.first_backoff;
  if (message.has_ack()) {
    OnAck({message.ack().job_id(), message.fence().job_epoch()}, message.ack());
  } else if (message.has_desired() && !stopping_.has_value()) {
    if (message.idempotency_sequence() < desired_sequence_) return;
    const bool fresh = message.idempotency_sequence() > desired_sequence_;
    desired_sequence_ = message.idempotency_sequence();
    OnDesired({message.desired().job_id(), message.fence().job_epoch()},
              message.desired(), fresh);
  }
}

void SessionCore::OnAck(const EpochKey& key, const Ack& ack) {
  if (Epoch* epoch = Current(key)) epoch->reports.Acknowledge(ack);
}

// ---- The desired state ----------------------------------------------------

void SessionCore::OnDesired(const EpochKey& key, const DesiredState& desired,
                            bool fresh) {
  if (desired.goal() == DesiredState::BE_IDLE || key.job_id.empty()) {
    OnIdle(desired, fresh);
    return;
  }
  if (epoch_.has_value() && epoch_->key == key && !epoch_->leaving) {
    successor_.reset();
    OnSameEpoch(desired, fresh);
    return;
  }
  if (leave_at_ < absl::InfiniteFuture()) {
    // What it asked for: another epoch than its own is not for it any more.
    OnIdle(DesiredState(), fresh);
    return;
  }
  const bool older = epoch_.has_value() && epoch_->key.job_id == key.job_id &&
                     key.job_epoch < epoch_->key.job_epoch;
  const bool ended = ended_.has_value() && ended_->key.job_id == key.job_id &&
                     key.job_epoch <= ended_->key.job_epoch;
  if (older || ended) {
    successor_.reset();
    const std::string why =
        older ? absl::StrCat("this server is in the newer ",
                             ToString(epoch_->key))
              : absl::StrCat("this server has left ", ToString(ended_->key),
                             ": ", ended_->why);
    Log(Level::kWarning, absl::StrCat("refused ", ToString(key), "; ", why));
    if (ended && fresh) SendFault(key, why);
    return;
  }
  if (!epoch_.has_value()) {
    Enter(key, desired);
    return;
  }
  successor_ = Successor{key, desired};
  Leave(absl::StrCat(ToString(key), " follows"));
}

void SessionCore::OnIdle(const DesiredState& desired, bool fresh) {
  successor_.reset();
  if (!desired.job_id().empty()) ForgetMemoryOf(desired.job_id());
  if (epoch_.has_value()) {
    Leave(desired.reason().empty() ? "the coordinator wants this server idle"
                                   : desired.reason());
  } else if (fresh) {
    SendStatus();
  }
}

void SessionCore::OnSameEpoch(const DesiredState& desired, bool fresh) {
  if (epoch_->phase == Phase::kFaulted) {
    if (fresh) SendStatus();
    return;
  }
  const bool behind = desired.goal() < epoch_->desired.goal();
  if (behind) {
    // The coordinator does not know how far this server is already.
    if (fresh) SendStatus();
    return;
  }
  epoch_->desired = desired;
  Mark();
  Advance();
}

void SessionCore::Enter(const EpochKey& key, const DesiredState& desired) {
  epoch_.emplace();
  epoch_->key = key;
  epoch_->desired = desired;
  forget_at_ = absl::InfiniteFuture();
  const int ranks = desired.plan().schedule().ranks_size();
  Log(Level::kInfo, absl::StrFormat("rank %d of %d of %s: loading",
                                    desired.rank(), ranks, ToString(key)));
  if (desired.rank() < 0 || desired.rank() >= ranks) {
    Fault(
        absl::StrFormat("the plan has %d ranks and this server was given "
                        "rank %d",
                        ranks, desired.rank()));
    return;
  }
  SendStatus();
  LoadLayers load = {key, RankId(desired.rank()), desired.plan()};
  if (desired.has_restore()) {
    load.restore = desired.restore();
    if (!desired.restore().weights_only()) {
      epoch_->reports.BeginAfter(desired.restore().checkpoint().step());
    }
    Log(Level::kInfo,
        absl::StrCat(
            ToString(key), ": from the ",
            desired.restore().has_memory() ? "state in memory" : "checkpoint",
            " of step ", desired.restore().checkpoint().step(), ", epoch ",
            desired.restore().checkpoint().epoch(), ", of job ",
            desired.restore().checkpoint().job_id()));
  }
  if (desired.has_checkpoints()) load.checkpoints = desired.checkpoints();
  load.coordinator_term = term_;
  effects_.push_back(std::move(load));
  Mark();
}

void SessionCore::Mark() {
  const DesiredState& desired = epoch_->desired;
  SetMarks marks = {epoch_->key, desired.snapshot_step(), desired.stop_step()};
  if (desired.has_memory()) marks.memory = desired.memory();
  const SetMarks& told = epoch_->marks;
  if (marks.snapshot_step == told.snapshot_step &&
      marks.stop_step == told.stop_step &&
      SameTier(marks.memory, told.memory)) {
    return;
  }
  epoch_->marks = marks;
  epoch_->reports.WantSnapshot(marks.snapshot_step);
  effects_.push_back(std::move(marks));
}

void SessionCore::Advance() {
  const DesiredState& desired = epoch_->desired;
  if (epoch_->phase == Phase::kLoaded &&
      desired.goal() >= DesiredState::CONNECT) {
    auto peers = PeersByRank(desired);
    if (!peers.ok()) {
      Fault(Text(peers.status()));
      return;
    }
    epoch_->phase = Phase::kConnecting;
    effects_.push_back(
        ConnectPeers{epoch_->key, *std::move(peers), desired.epoch_secret()});
  } else if (epoch_->phase == Phase::kReady &&
             desired.goal() >= DesiredState::RUN) {
    epoch_->phase = Phase::kRunning;
    Log(Level::kInfo, absl::StrCat(ToString(epoch_->key), ": running ",
                                   desired.plan().job().steps(), " steps"));
    SendStatus();
    effects_.push_back(RunSteps{epoch_->key});
  }
}

void SessionCore::Leave(const std::string& why) {
  if (epoch_->leaving) return;
  Log(Level::kInfo, absl::StrCat("leaving ", ToString(epoch_->key), ": ", why));
  epoch_->leaving = true;
  if (epoch_->error.empty()) epoch_->error = why;
  ended_ = Ended{epoch_->key, why};
  effects_.push_back(LeaveEpoch{epoch_->key, absl::CancelledError(why)});
}

void SessionCore::Fault(const std::string& why) {
  Log(Level::kError, absl::StrCat(ToString(epoch_->key), ": ", why));
  epoch_->phase = Phase::kFaulted;
  epoch_->error = why;
  ended_ = Ended{epoch_->key, why};
  Flush();
  SendStatus();
}

// ---- The executor ---------------------------------------------------------

SessionCore::Epoch* SessionCore::Current(const EpochKey& key) {
  if (!epoch_.has_value() || epoch_->key != key || epoch_->leaving) {
    return nullptr;
  }
  return &*epoch_;
}

void SessionCore::On(const Loaded& event) {
  Epoch* epoch = Current(event.epoch);
  if (epoch == nullptr || epoch->phase != Phase::kLoading) return;
  epoch->phase = Phase::kLoaded;
  epoch->address = event.address;
  Log(Level::kInfo, absl::StrCat(ToString(epoch->key), ": layers are loaded"));
  SendStatus();
  Advance();
}

void SessionCore::On(const Connected& event) {
  Epoch* epoch = Current(event.epoch);
  if (epoch == nullptr || epoch->phase != Phase::kConnecting) return;
  epoch->phase = Phase::kReady;
  Log(Level::kInfo, absl::StrCat(ToString(epoch->key), ": connected"));
  SendStatus();
  Advance();
}

void SessionCore::On(const StepDone& event) {
  Epoch* epoch = Current(event.epoch);
  if (epoch == nullptr) return;
  epoch->reports.AddStep(event.report, event.trace);
  if (event.use.has_value()) epoch->reports.SetUse(*event.use);
  FlushSoon();
}

void SessionCore::On(const RunDone& event) {
  Epoch* epoch = Current(event.epoch);
  if (epoch == nullptr) return;
  Log(Level::kInfo, absl::StrCat(ToString(epoch->key), ": finished step ",
                                 epoch->reports.last_step()));
  epoch->reports.SetFinished(event.layers);
  Flush();
}

void SessionCore::On(const SnapshotTaken& event) {
  Epoch* epoch = Current(event.epoch);
  if (epoch == nullptr) return;
  if (event.report.missed()) {
    Log(Level::kInfo,
        absl::StrCat(ToString(epoch->key), ": past step ", event.report.step(),
                     " already, which a snapshot was wanted of"));
  }
  epoch->reports.SetSnapshot(event.report);
  Flush();
}

void SessionCore::On(const ShardsStored& event) {
  Epoch* epoch = Current(event.epoch);
  if (epoch == nullptr) return;
  const int64_t step = event.report.checkpoint().step();
  if (event.report.error().empty()) {
    Log(Level::kInfo,
        absl::StrCat(ToString(epoch->key), ": stored ",
                     event.report.files_size(), " files of step ", step));
  } else {
    Log(Level::kWarning,
        absl::StrCat(ToString(epoch->key), ": no checkpoint of step ", step,
                     ": ", event.report.error()));
  }
  epoch->reports.SetShards(event.report);
  Flush();
}

void SessionCore::On(const Warned& event) {
  if (Current(event.epoch) == nullptr) return;
  Log(Level::kWarning, absl::StrCat(ToString(event.epoch), ": ", event.text));
}

void SessionCore::On(const Failed& event) {
  Epoch* epoch = Current(event.epoch);
  if (epoch == nullptr) return;
  epoch->suspect = event.suspect;
  epoch->missing = event.missing;
  Fault(Text(event.why));
}

void SessionCore::On(const Left& event) {
  if (!epoch_.has_value() || epoch_->key != event.epoch) return;
  const EpochKey left = epoch_->key;
  const bool is_over = epoch_->is_over;
  epoch_.reset();
  // Before the status: from then on, others may be told to start from it.
  SendMemory();
  if (is_over) {
    Forget();
  } else if (memory_.held_size() > 0) {
    forget_at_ = now_ + limits_.memory_keep;
  }
  if (stopping_.has_value()) {
    ExitWith(*stopping_);
    return;
  }
  StageMessage message;
  message.mutable_fence()->set_job_epoch(left.job_epoch);
  message.mutable_status()->set_job_id(left.job_id);
  message.mutable_status()->set_phase(StageStatus::IDLE);
  if (event.missing.has_value()) {
    *message.mutable_status()->mutable_missing() = *event.missing;
  }
  Send(std::move(message));
  Log(Level::kInfo, absl::StrCat("left ", ToString(left), "; idle"));
  if (leave_at_ < absl::InfiniteFuture()) {
    ExitWith(absl::OkStatus());
    return;
  }
  if (auto successor = std::exchange(successor_, std::nullopt)) {
    Enter(successor->key, successor->desired);
  }
}

// ---- What is in memory ----------------------------------------------------

void SessionCore::On(const MemoryChanged& event) {
  memory_ = event.report;
  memory_sent_ = false;
  // A peer's part that came late.
  if (!epoch_.has_value() && memory_.held_size() > 0) {
    forget_at_ = std::min(forget_at_, now_ + limits_.memory_keep);
  }
  if (epoch_.has_value() && !epoch_->leaving) {
    FlushSoon();
  } else {
    SendMemory();
  }
}

void SessionCore::ForgetMemoryOf(const std::string& job_id) {
  if (epoch_.has_value()) {
    // Its threads may still add to it.
    if (epoch_->key.job_id == job_id) epoch_->is_over = true;
    return;
  }
  const auto& held = memory_.held();
  if (std::any_of(held.begin(), held.end(),
                  [&](const auto& part) { return part.job_id() == job_id; })) {
    Forget();
  }
}

void SessionCore::Forget() {
  forget_at_ = absl::InfiniteFuture();
  if (memory_.held_size() == 0) return;
  Log(Level::kInfo, "the states in memory are given up");
  effects_.push_back(ForgetMemory{});
}

// ---- The process ----------------------------------------------------------

void SessionCore::On(const OwnLogLine& event) {
  if (!epoch_.has_value() || epoch_->leaving) return;
  epoch_->reports.AddLog(event.time, event.level, event.text);
  FlushSoon();
}

void SessionCore::On(const StopRequested& event) {
  if (stopping_.has_value()) return;
  const bool has_rank = epoch_.has_value() && !epoch_->leaving &&
                        epoch_->phase != Phase::kFaulted;
  if (!has_rank || event.leave_within <= absl::ZeroDuration()) {
    Stop(event.reason);
    return;
  }
  if (leave_at_ < absl::InfiniteFuture()) return;
  leave_at_ = now_ + event.leave_within;
  leave_reason_ = event.reason;
  Log(Level::kInfo,
      absl::StrCat(event.reason, "; it goes on with ", ToString(epoch_->key),
                   " until the coordinator has relieved it, at most ",
                   absl::FormatDuration(event.leave_within)));
  SendLeaving();
}

void SessionCore::SendLeaving() {
  if (leave_at_ == absl::InfiniteFuture()) return;
  StageMessage message;
  Leaving& leaving = *message.mutable_leaving();
  leaving.set_deadline_seconds(
      absl::ToDoubleSeconds(std::max(leave_at_ - now_, absl::ZeroDuration())));
  leaving.set_reason(leave_reason_);
  Send(std::move(message));
}

void SessionCore::Stop(const std::string& reason) {
  successor_.reset();
  leave_at_ = absl::InfiniteFuture();
  retry_at_ = absl::InfiniteFuture();
  Log(Level::kInfo, absl::StrCat("stopping: ", reason));
  if (epoch_.has_value() && !epoch_->leaving) {
    Flush();
    SendFault(epoch_->key, reason);
    Leave(reason);
  }
  ExitWith(absl::OkStatus());
}

void SessionCore::ExitWith(absl::Status status) {
  if (!stopping_.has_value()) stop_at_ = now_ + limits_.stop_limit;
  stopping_ = std::move(status);
  if (epoch_.has_value() && now_ < stop_at_) return;  // until `Left` or `Tick`
  exited_ = true;
  stop_at_ = absl::InfiniteFuture();
  if (link_ == Link::kOpen) effects_.push_back(CloseSession{});
  effects_.push_back(Exit{*stopping_, !epoch_.has_value()});
}

void SessionCore::On(const Tick&) {
  if (now_ >= stop_at_) {
    ExitWith(*stopping_);
    return;
  }
  if (now_ >= leave_at_) {
    Stop(leave_reason_);
    return;
  }
  if (now_ >= forget_at_) Forget();
  if (link_ == Link::kOpen) {
    if (now_ >= flush_at_) Flush();
    if (now_ >= heartbeat_at_) {
      heartbeat_at_ = now_ + heartbeat_;
      StageMessage message;
      message.mutable_heartbeat()->set_step(
          epoch_.has_value() ? epoch_->reports.last_step() : 0);
      Send(std::move(message));
    }
    return;
  }
  if (epoch_.has_value() && !epoch_->leaving &&
      now_ >= offline_since_ + grace_) {
    successor_.reset();
    Leave(absl::StrCat("no session with the coordinator for ",
                       absl::FormatDuration(grace_)));
  }
  if (link_ == Link::kOffline && now_ >= retry_at_) Register();
}

// ---- What leaves ----------------------------------------------------------

void SessionCore::Send(StageMessage message) {
  if (link_ != Link::kOpen) return;
  message.mutable_fence()->set_coordinator_term(term_);
  if (message.fence().job_epoch() == 0 && epoch_.has_value()) {
    message.mutable_fence()->set_job_epoch(epoch_->key.job_epoch);
  }
  message.set_incarnation(identity_.incarnation);
  message.set_idempotency_sequence(++sent_sequence_);
  effects_.push_back(SendMessage{std::move(message)});
}

void SessionCore::SendStatus() {
  StageMessage message;
  StageStatus& status = *message.mutable_status();
  status.set_phase(StageStatus::IDLE);
  if (epoch_.has_value()) {
    status.set_job_id(epoch_->key.job_id);
    if (epoch_->phase != Phase::kLoading && epoch_->phase != Phase::kFaulted) {
      *status.mutable_data_address() = epoch_->address;
    }
    switch (epoch_->phase) {
      case Phase::kLoading:
        status.set_phase(StageStatus::LOADING);
        break;
      case Phase::kLoaded:
      case Phase::kConnecting:
        status.set_phase(StageStatus::LOADED);
        break;
      case Phase::kReady:
        status.set_phase(StageStatus::READY);
        break;
      case Phase::kRunning:
        status.set_phase(StageStatus::RUNNING);
        break;
      case Phase::kFaulted:
        status.set_phase(StageStatus::FAULTED);
        status.set_error(epoch_->error);
        if (epoch_->suspect.has_value()) {
          status.set_suspect_rank(epoch_->suspect->value());
        }
        if (epoch_->missing.has_value()) {
          *status.mutable_missing() = *epoch_->missing;
        }
        break;
    }
  }
  Send(std::move(message));
}

void SessionCore::SendFault(const EpochKey& key, const std::string& why) {
  StageMessage message;
  message.mutable_fence()->set_job_epoch(key.job_epoch);
  StageStatus& status = *message.mutable_status();
  status.set_job_id(key.job_id);
  status.set_phase(StageStatus::FAULTED);
  status.set_error(why);
  Send(std::move(message));
}

void SessionCore::SendMemory() {
  if (link_ != Link::kOpen || memory_sent_) return;
  memory_sent_ = true;
  StageMessage message;
  *message.mutable_memory() = memory_;
  Send(std::move(message));
}

void SessionCore::Flush() {
  flush_at_ = absl::InfiniteFuture();
  if (link_ != Link::kOpen) return;
  if (!memory_sent_) flushed_at_ = now_;
  SendMemory();
  if (!epoch_.has_value()) return;
  if (!epoch_->reports.has_unsent()) return;
  flushed_at_ = now_;
  for (StageMessage& message : epoch_->reports.TakeUnsent(epoch_->key.job_id)) {
    Send(std::move(message));
  }
}

void SessionCore::FlushSoon() {
  if (now_ >= flushed_at_ + limits_.report_interval) {
    Flush();
  } else {
    flush_at_ = std::min(flush_at_, flushed_at_ + limits_.report_interval);
  }
}

void SessionCore::Log(Level level, std::string text) {
  effects_.push_back(WriteLog{level, std::move(text)});
}

std::string SessionCore::EpochLine() const {
  const Epoch& epoch = *epoch_;
  const std::string where =
      absl::StrCat(ToString(epoch.key), ", rank ", epoch.desired.rank());
  if (epoch.leaving) return absl::StrCat(where, ": leaving");
  switch (epoch.phase) {
    case Phase::kLoading:
      return absl::StrCat(where, ": loading");
    case Phase::kLoaded:
    case Phase::kConnecting:
      return absl::StrCat(where, ": connecting");
    case Phase::kReady:
      return absl::StrCat(where, ": connected");
    case Phase::kRunning:
      if (epoch.reports.last_step() == 0) {
        return absl::StrCat(where, ": running");
      }
      return absl::StrCat(where, ": running, step ", epoch.reports.last_step());
    case Phase::kFaulted:
      return absl::StrCat(where, ": failed: ", epoch.error);
  }
  return where;
}

std::string SessionCore::StatusLine() const {
  std::string line = epoch_.has_value() ? EpochLine() : "idle";
  if (stopping_.has_value() || leave_at_ != absl::InfiniteFuture()) {
    absl::StrAppend(&line, "; told to stop");
  }
  if (link_ != Link::kOpen) absl::StrAppend(&line, "; no coordinator");
  return line;
}

}  // namespace penstock
