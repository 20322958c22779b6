#ifndef PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CORE_FIXTURE_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CORE_FIXTURE_H_

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "stage_server/service/session_core.h"

namespace penstock {

inline const EpochKey kJob{"job-1", 3};

// Drives a core through time and sorts what it wants done.
class SessionCoreTest : public ::testing::Test {
 protected:
  SessionCoreTest()
      : core_(ServerIdentity{"id-1", "one", 0xabc, "0.1.0", "cpu", "host", 2,
                             8192},
              SessionLimits{}) {}

  void Apply(const Event& event) { Keep(core_.Apply(event, now_)); }

  void Keep(std::vector<Effect> effects) {
    effects_ = std::move(effects);
    sent_.clear();
    for (const Effect& effect : effects_) {
      if (const auto* send = std::get_if<SendMessage>(&effect)) {
        sent_.push_back(send->message);
      }
    }
  }

  // The first effect of that kind, if there is one.
  template <typename T>
  const T* Find() const {
    for (const Effect& effect : effects_) {
      if (const T* found = std::get_if<T>(&effect)) return found;
    }
    return nullptr;
  }

  std::string Logged() const {
    std::string all;
    for (const Effect& effect : effects_) {
      if (const auto* log = std::get_if<WriteLog>(&effect)) {
        all += log->text + "\n";
      }
    }
    return all;
  }

  std::vector<StageStatus::Phase> Phases() const {
    std::vector<StageStatus::Phase> phases;
    for (const StageMessage& message : sent_) {
      if (message.has_status()) phases.push_back(message.status().phase());
    }
    return phases;
  }

  std::vector<int64_t> Steps() const {
    std::vector<int64_t> steps;
    for (const StageMessage& message : sent_) {
      for (const StepReport& report : message.steps().reports()) {
        steps.push_back(report.step());
      }
    }
    return steps;
  }

  void AnswerRegister(int64_t term = 7) {
    Registered event;
    event.response.set_coordinator_term(term);
    event.response.set_heartbeat_seconds(1);
    event.response.set_grace_seconds(60);
    ++session_;
    Apply(event);
  }

  void Open(int64_t term = 7) {
    Keep(core_.Start(now_));
    AnswerRegister(term);
  }

  void Break() {
    Apply(SessionEnded{session_, absl::UnavailableError("reset")});
  }

  // Waits until it wants to register again, and lets it.
  void Reopen(int64_t term = 7) {
    now_ = core_.next_wake();
    Apply(Tick{});
    ASSERT_NE(Find<CallRegister>(), nullptr);
    AnswerRegister(term);
  }

  DesiredState Desired(DesiredState::Goal goal, const EpochKey& key) {
    DesiredState desired;
    desired.set_goal(goal);
    desired.set_job_id(key.job_id);
    desired.set_rank(1);
    desired.mutable_plan()->mutable_job()->set_steps(100);
    desired.mutable_plan()->mutable_schedule()->add_ranks();
    desired.mutable_plan()->mutable_schedule()->add_ranks();
    if (goal >= DesiredState::CONNECT) {
      for (int rank = 0; rank < 2; ++rank) {
        PeerAddress* peer = desired.add_peers();
        peer->set_rank(rank);
        peer->mutable_address()->set_host_identity(rank == 0 ? "host-0"
                                                             : "host-1");
      }
      desired.set_epoch_secret("secret");
    }
    return desired;
  }

  void Say(const DesiredState& desired, int64_t epoch, int64_t sequence = 0,
           int64_t term = 7) {
    MessageReceived event;
    event.session = session_;
    event.message.mutable_fence()->set_coordinator_term(term);
    event.message.mutable_fence()->set_job_epoch(epoch);
    event.message.set_idempotency_sequence(sequence != 0 ? sequence
                                                         : ++sequence_);
    *event.message.mutable_desired() = desired;
    Apply(event);
  }
  void Say(DesiredState::Goal goal, const EpochKey& key = kJob) {
    Say(Desired(goal, key), key.job_epoch);
  }
  void SayIdle() {
    DesiredState idle;
    idle.set_goal(DesiredState::BE_IDLE);
    idle.set_reason("the job was cancelled");
    Say(idle, 0);
  }

  void Acknowledge(int64_t step, bool finished = false) {
    MessageReceived event;
    event.session = session_;
    event.message.mutable_fence()->set_coordinator_term(7);
    event.message.mutable_fence()->set_job_epoch(kJob.job_epoch);
    event.message.mutable_ack()->set_job_id(kJob.job_id);
    event.message.mutable_ack()->set_step(step);
    event.message.mutable_ack()->set_finished(finished);
    Apply(event);
  }

  void FinishStep(int64_t step) {
    StepDone event;
    event.epoch = kJob;
    event.report.set_step(step);
    Apply(event);
  }

  // As far as running step after step of kJob.
  void Run() {
    Open();
    Say(DesiredState::RUN);
    Apply(Loaded{kJob, DataAddress()});
    Apply(Connected{kJob});
    ASSERT_NE(Find<RunSteps>(), nullptr);
  }

  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  int64_t session_ = 0;
  int64_t sequence_ = 0;
  SessionCore core_;
  std::vector<Effect> effects_;
  std::vector<StageMessage> sent_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CORE_FIXTURE_H_
