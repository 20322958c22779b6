#include "stage_server/transport/in_process/inbox.h"

#include <utility>

#include "stage_server/transport/transport_errors.h"

namespace penstock {

absl::Status Inbox::Greet(int64_t epoch, ChannelId channel,
                          std::string secret) {
  return Push(&Inbox::greetings_, epoch, channel, std::move(secret));
}

absl::Status Inbox::Deliver(int64_t epoch, ChannelId channel,
                            InProcessMessage message) {
  return Push(&Inbox::messages_, epoch, channel, std::move(message));
}

void Inbox::Leave(int64_t epoch, RankId peer) {
  MutexLock lock(&mutex_);
  left_.emplace(epoch, peer);
  NoteChange();
}

void Inbox::Enter(int64_t epoch) {
  MutexLock lock(&mutex_);
  epoch_ = epoch;
  DropStale(greetings_);
  DropStale(messages_);
}

void Inbox::Close() {
  MutexLock lock(&mutex_);
  closed_ = true;
  greetings_.clear();
  messages_.clear();
}

void Inbox::End(absl::Status why) {
  MutexLock lock(&mutex_);
  if (ended_.ok()) ended_ = std::move(why);
  NoteChange();
}

absl::Status Inbox::ended() const {
  MutexLock lock(&mutex_);
  return ended_;
}

int64_t Inbox::num_stale() const {
  MutexLock lock(&mutex_);
  return num_stale_;
}

absl::StatusOr<std::optional<std::string>> Inbox::TakeGreeting(
    ChannelId channel, RankId peer, absl::Time deadline) {
  return Take(&Inbox::greetings_, channel, peer, deadline);
}

absl::StatusOr<std::optional<InProcessMessage>> Inbox::TakeMessage(
    ChannelId channel, RankId peer, absl::Time deadline) {
  return Take(&Inbox::messages_, channel, peer, deadline);
}

absl::Status Inbox::AwaitChange(absl::Time deadline) {
  MutexLock lock(&mutex_);
  bool late = false;
  while (ended_.ok() && !has_changed_ && !late) {
    late = changed_.WaitWithDeadline(&mutex_, deadline);
  }
  has_changed_ = false;
  return ended_;
}

void Inbox::NoteChange() {
  has_changed_ = true;
  changed_.SignalAll();
}

template <typename T>
absl::Status Inbox::Push(Queues<T> Inbox::*queues, int64_t epoch,
                         ChannelId channel, T what) {
  MutexLock lock(&mutex_);
  if (closed_) return absl::UnavailableError("its endpoint was destroyed");
  if (epoch_.has_value() && epoch != *epoch_) {
    ++num_stale_;
    return absl::OkStatus();
  }
  (this->*queues)[channel].push_back({epoch, std::move(what)});
  NoteChange();
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<std::optional<T>> Inbox::Take(Queues<T> Inbox::*queues,
                                             ChannelId channel, RankId peer,
                                             absl::Time deadline) {
  MutexLock lock(&mutex_);
  std::deque<Item<T>>& queue = (this->*queues)[channel];
  bool late = false;
  while (ended_.ok() && queue.empty()) {
    if (left_.contains({*epoch_, peer})) {
      return PeerGone(peer, "its endpoint was destroyed");
    }
    if (late || deadline == absl::InfinitePast()) {
      return std::optional<T>();
    }
    late = changed_.WaitWithDeadline(&mutex_, deadline);
  }
  if (!ended_.ok()) return ended_;
  std::optional<T> what(std::move(queue.front().what));
  queue.pop_front();
  return what;
}

template <typename T>
void Inbox::DropStale(Queues<T>& queues) {
  for (auto& [channel, queue] : queues) {
    num_stale_ += std::erase_if(
        queue, [&](const Item<T>& item) { return item.epoch != *epoch_; });
  }
}

}  // namespace penstock
