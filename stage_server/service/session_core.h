#ifndef PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CORE_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/stage_service.pb.h"
#include "stage_server/service/epoch_reports.h"
#include "stage_server/service/session_events.h"

namespace penstock {

// Who this server is; fixed for the life of the process.
struct ServerIdentity {
  std::string server_id;
  std::string name;
  uint64_t incarnation = 0;
  std::string build_version;
  std::string device;
  std::string host_identity;
  int cores = 0;
  // That the device has for a job; 0: not known.
  int64_t memory_bytes = 0;
  // Where other servers reach its memory; empty: nowhere.
  std::string memory_address = "";
  // Of its machine; the time is that of each registration.
  HostFacts host = {};
};

struct SessionLimits {
  // Between attempts to register: doubled from one to the other, begun anew
  // once the coordinator has spoken in a session.
  absl::Duration first_backoff = absl::Milliseconds(200);
  absl::Duration max_backoff = absl::Seconds(5);
  // Step reports and log lines are sent at most this often.
  absl::Duration report_interval = absl::Milliseconds(100);
  // Where the coordinator names none.
  absl::Duration heartbeat = absl::Seconds(1);
  absl::Duration grace = absl::Minutes(30);
  // An idle server keeps the states in its memory so long.
  absl::Duration memory_keep = absl::Minutes(10);
  // A stopping process waits this long for its executor.
  absl::Duration stop_limit = absl::Milliseconds(1500);
};

// Every decision of a stage server's control side: when to register, what to
// do about a desired state, what to report, when to give an epoch up.
//
// Pure: no clock, thread or I/O. Equal sequences of (event, now) give equal
// effects. `now` never steps back.
//
// * The desired state is level-triggered: the server goes through load, connect
//   and run as far as the goal says, and hearing a goal twice changes nothing.
// * Fences: what carries a smaller term, or a smaller epoch of the same job, is
//   refused; a larger one is adopted. An epoch that has been left is never
//   entered again, since its state is gone.
// * Another epoch, or BE_IDLE, ends the present one first; the next is entered
//   only when the executor has left.
// * What the process's memory holds of ranks' states is told whenever it has
//   changed and in each new session. It is forgotten when another job comes,
//   when BE_IDLE names the job, which then has ended, or when the server has
//   been idle for long.
// * Told to stop, an idle server ends at once. One with a rank may first ask to
//   be relieved of it, and ends when it has been told to be idle, or at its
//   deadline.
// * Without a session the job goes on for the coordinator's grace. Reports are
//   kept until they are acknowledged, and sent again in the next session.
class SessionCore {
 public:
  SessionCore(ServerIdentity identity, SessionLimits limits);

  // The first effects: register. Call once, before `Apply`.
  std::vector<Effect> Start(absl::Time now);

  // What to do about `event`, in order. After an `Exit` nothing more comes.
  std::vector<Effect> Apply(const Event& event, absl::Time now);

  // When a `Tick` is wanted at the latest.
  absl::Time next_wake() const;

  int64_t term() const { return term_; }

  // What it is at, in one line, for `systemctl status`: "job-1 epoch 2, rank 0:
  // running, step 7; no coordinator", where that is so.
  std::string StatusLine() const;

 private:
  enum class Link {
    kOffline,      // until `retry_at_`
    kRegistering,  // waits for the answer
    kOpen,         // a stream is there, perhaps not yet connected
  };
  enum class Phase {
    kLoading,
    kLoaded,
    kConnecting,
    kReady,
    kRunning,  // and after the last step, until told to be idle
    kFaulted,
  };
  // The epoch that the executor is in.
  struct Epoch {
    EpochKey key;
    Phase phase = Phase::kLoading;
    DesiredState desired;
    DataAddress address;
    std::string error;
    std::optional<RankId> suspect;
    std::optional<MissingAction> missing;
    EpochReports reports;
    // As the executor was told.
    SetMarks marks;
    bool leaving = false;
    // The job goes no further, once it has been left.
    bool is_over = false;
  };
  // A desired state whose turn comes when the executor has left.
  struct Successor {
    EpochKey key;
    DesiredState desired;
  };
  // The epoch that was left last, and why; it is never entered again.
  struct Ended {
    EpochKey key;
    std::string why;
  };

  void On(const Registered& event);
  void On(const RegisterFailed& event);
  void On(const MessageReceived& event);
  void On(const SessionEnded& event);
  void On(const Loaded& event);
  void On(const Connected& event);
  void On(const StepDone& event);
  void On(const RunDone& event);
  void On(const SnapshotTaken& event);
  void On(const ShardsStored& event);
  void On(const Warned& event);
  void On(const Failed& event);
  void On(const Left& event);
  void On(const MemoryChanged& event);
  void On(const OwnLogLine& event);
  void On(const StopRequested& event);
  void On(const Tick& event);

  void OnDesired(const EpochKey& key, const DesiredState& desired, bool fresh);
  void OnIdle(const DesiredState& desired, bool fresh);
  void OnSameEpoch(const DesiredState& desired, bool fresh);
  void OnAck(const EpochKey& key, const Ack& ack);

  void Enter(const EpochKey& key, const DesiredState& desired);
  // Passes on which steps are marked, where that has changed.
  void Mark();
  // Takes the next steps towards the goal that are possible now.
  void Advance();
  // Asks the executor to; `Left` ends the epoch for good.
  void Leave(const std::string& why);
  void Fault(const std::string& why);
  void Stop(const std::string& reason);
  void ExitWith(absl::Status status);

  void Register();
  void Disconnected(const absl::Status& why);
  // The epoch that an executor's event is about, or null if that is over.
  Epoch* Current(const EpochKey& key);

  void ForgetMemoryOf(const std::string& job_id);
  void Forget();

  void Send(StageMessage message);
  void SendStatus();
  void SendMemory();
  void SendLeaving();
  void SendFault(const EpochKey& key, const std::string& why);
  void Flush();
  void FlushSoon();
  void Log(WriteLog::Level level, std::string text);
  std::string EpochLine() const;

  const ServerIdentity identity_;
  const SessionLimits limits_;

  Link link_ = Link::kOffline;
  int64_t term_ = 0;
  int64_t session_ = 0;
  int64_t registrations_ = 0;
  // Of the present session.
  int64_t sent_sequence_ = 0;
  int64_t desired_sequence_ = 0;
  absl::Duration backoff_;
  absl::Duration heartbeat_;
  absl::Duration grace_;
  absl::Time retry_at_ = absl::InfiniteFuture();
  absl::Time heartbeat_at_ = absl::InfiniteFuture();
  absl::Time flush_at_ = absl::InfiniteFuture();
  absl::Time flushed_at_ = absl::InfinitePast();
  absl::Time offline_since_ = absl::InfiniteFuture();
  // The trouble that was logged last, so that it is logged once.
  std::string trouble_;

  // What the process's memory holds.
  MemoryReport memory_;
  bool memory_sent_ = true;
  // When it is forgotten: of an idle server.
  absl::Time forget_at_ = absl::InfiniteFuture();

  std::optional<Epoch> epoch_;
  std::optional<Successor> successor_;
  std::optional<Ended> ended_;

  // Until then the process goes on for the coordinator to relieve it of its
  // rank; it has been told to end.
  absl::Time leave_at_ = absl::InfiniteFuture();
  std::string leave_reason_;

  bool exited_ = false;
  absl::Time stop_at_ = absl::InfiniteFuture();
  std::optional<absl::Status> stopping_;

  // Of the event that is being applied.
  absl::Time now_;
  std::vector<Effect> effects_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_SESSION_CORE_H_
