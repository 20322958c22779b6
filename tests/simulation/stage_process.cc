#include "tests/simulation/stage_process.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "stage_server/service/session_core.h"
#include "tests/simulation/executor.h"

namespace penstock::simulation {
namespace {

constexpr size_t kPeersParts = 2;

}  // namespace

class StageProcess::Impl {
 public:
  Impl(const Identity& identity, uint64_t seed, Outside& outside,
       DataPlane& plane, CheckpointFiles& files)
      : core_(CoreIdentity(identity), SessionLimits()),
        executor_(
            {identity.server_id, identity.incarnation, outside, plane, files},
            seed),
        outside_(outside),
        plane_(plane),
        process_(identity.incarnation) {}

  ~Impl() { plane_.GetUp(process_); }

  void Start(absl::Time now) { Carry(core_.Start(now), now); }

  void Apply(Event event, absl::Time now) {
    inbox_.push_back(std::move(event));
    Drain(now);
  }

  void Wake(absl::Time now) {
    for (Event& event : executor_.Run(now)) inbox_.push_back(std::move(event));
    Drain(now);
    if (now >= core_.next_wake()) Apply(Tick{}, now);
  }

  absl::Time next_wake() const {
    return std::min(core_.next_wake(), executor_.next_wake());
  }

  SimulatedExecutor& executor() { return executor_; }

 private:
  static ServerIdentity CoreIdentity(const Identity& identity) {
    ServerIdentity own;
    own.server_id = identity.server_id;
    own.name = absl::StrCat("node-", identity.server_id);
    own.incarnation = identity.incarnation;
    own.build_version = identity.build;
    own.device = "cpu";
    own.host_identity = identity.host;
    own.cores = 1;
    own.memory_address =
        absl::StrCat(identity.server_id, "/", identity.incarnation);
    return own;
  }

  void Drain(absl::Time now) {
    while (!inbox_.empty()) {
      const Event event = std::move(inbox_.front());
      inbox_.pop_front();
      Carry(core_.Apply(event, now), now);
    }
  }

  void Carry(const std::vector<Effect>& effects, absl::Time now) {
    for (const Effect& effect : effects) {
      std::visit([this, now](const auto& what) { Do(what, now); }, effect);
    }
  }

  void Do(const CallRegister& what, absl::Time) {
    outside_.Register(what.request);
  }
  void Do(const OpenSession& what, absl::Time) {
    outside_.OpenSession(what.session);
  }
  void Do(const SendMessage& what, absl::Time) { outside_.Send(what.message); }
  void Do(const CloseSession&, absl::Time) { outside_.CloseSession(); }
  void Do(const LoadLayers& what, absl::Time now) { executor_.Do(what, now); }
  void Do(const ConnectPeers& what, absl::Time now) { executor_.Do(what, now); }
  void Do(const RunSteps& what, absl::Time now) { executor_.Do(what, now); }
  void Do(const SetMarks& what, absl::Time now) { executor_.Do(what, now); }
  void Do(const LeaveEpoch& what, absl::Time now) { executor_.Do(what, now); }
  void Do(const ForgetMemory&, absl::Time) { executor_.Forget(); }
  void Do(const WriteLog&, absl::Time) {}
  void Do(const Exit&, absl::Time) { outside_.Exit(); }

  SessionCore core_;
  SimulatedExecutor executor_;
  Outside& outside_;
  DataPlane& plane_;
  const uint64_t process_;
  std::deque<Event> inbox_;
};

StageProcess::StageProcess(const Identity& identity, uint64_t seed,
                           Outside& outside, DataPlane& plane,
                           CheckpointFiles& files)
    : impl_(std::make_unique<Impl>(identity, seed, outside, plane, files)) {}

StageProcess::~StageProcess() = default;

void StageProcess::Start(absl::Time now) { impl_->Start(now); }

void StageProcess::Registered(const RegisterResponse& response,
                              absl::Time now) {
  impl_->Apply(penstock::Registered{response}, now);
}

void StageProcess::RegisterFailed(const absl::Status& why, absl::Time now) {
  impl_->Apply(penstock::RegisterFailed{why}, now);
}

void StageProcess::Receive(int64_t session, const CoordinatorMessage& message,
                           absl::Time now) {
  impl_->Apply(MessageReceived{session, message}, now);
}

void StageProcess::SessionEnded(int64_t session, const absl::Status& why,
                                absl::Time now) {
  impl_->Apply(penstock::SessionEnded{session, why}, now);
}

void StageProcess::Terminate(absl::Duration leave_within, absl::Time now) {
  impl_->Apply(StopRequested{"the stage server was told to stop (SIGTERM)",
                             leave_within},
               now);
}

void StageProcess::FailDevice() { impl_->executor().FailDevice(); }

void StageProcess::Wake(absl::Time now) { impl_->Wake(now); }

absl::Time StageProcess::next_wake() const { return impl_->next_wake(); }

void StageProcess::HoldPart(const CheckpointId& id, int rank) {
  impl_->executor().HoldPart(id, rank, kPeersParts);
}

bool StageProcess::HoldsPart(const CheckpointId& id, int rank) const {
  return impl_->executor().HoldsPart(id, rank);
}

}  // namespace penstock::simulation
