#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_IN_PROCESS_INBOX_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_IN_PROCESS_INBOX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// One message between two endpoints of a process.
struct InProcessMessage {
  MessageHeader header;
  std::vector<std::byte> bytes;
};

// What has come for one endpoint and was not taken yet. Thread-safe: peers
// deliver, its owner takes. Whatever is of another epoch than the owner's is
// dropped and counted, also what came before the owner had an epoch.
class Inbox {
 public:
  // Peers' side. A delivery to a closed inbox is UNAVAILABLE.
  absl::Status Greet(int64_t epoch, ChannelId channel, std::string secret)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Deliver(int64_t epoch, ChannelId channel,
                       InProcessMessage message) ABSL_LOCKS_EXCLUDED(mutex_);
  // No more will come from `peer` in `epoch`.
  void Leave(int64_t epoch, RankId peer) ABSL_LOCKS_EXCLUDED(mutex_);

  // Owner's side.
  void Enter(int64_t epoch) ABSL_LOCKS_EXCLUDED(mutex_);
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends the epoch with `why`, unless it has ended. Any thread.
  void End(absl::Status why) ABSL_LOCKS_EXCLUDED(mutex_);
  // Why it ended; OK while it goes on.
  absl::Status ended() const ABSL_LOCKS_EXCLUDED(mutex_);
  int64_t num_stale() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The secret that came first on `channel`, waiting until `deadline`; nullopt
  // when none came. An error when the epoch has ended or `peer` has left.
  absl::StatusOr<std::optional<std::string>> TakeGreeting(ChannelId channel,
                                                          RankId peer,
                                                          absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The same for the next message.
  absl::StatusOr<std::optional<InProcessMessage>> TakeMessage(
      ChannelId channel, RankId peer, absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns when something has come, left or ended since this last returned, or
  // at the deadline; an error when the epoch has ended.
  absl::Status AwaitChange(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  template <typename T>
  struct Item {
    int64_t epoch;
    T what;
  };
  template <typename T>
  using Queues = std::map<ChannelId, std::deque<Item<T>>>;

  template <typename T>
  absl::Status Push(Queues<T> Inbox::*queues, int64_t epoch, ChannelId channel,
                    T what) ABSL_LOCKS_EXCLUDED(mutex_);
  template <typename T>
  absl::StatusOr<std::optional<T>> Take(Queues<T> Inbox::*queues,
                                        ChannelId channel, RankId peer,
                                        absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mutex_);
  template <typename T>
  void DropStale(Queues<T>& queues) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void NoteChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  // Since AwaitChange last returned.
  bool has_changed_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<int64_t> epoch_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
  int64_t num_stale_ ABSL_GUARDED_BY(mutex_) = 0;
  // (epoch, rank)
  std::set<std::pair<int64_t, RankId>> left_ ABSL_GUARDED_BY(mutex_);
  Queues<std::string> greetings_ ABSL_GUARDED_BY(mutex_);
  Queues<InProcessMessage> messages_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_IN_PROCESS_INBOX_H_
