#include "stage_server/service/server_loop.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace penstock {
namespace {

void Write(const WriteLog& log) {
  switch (log.level) {
    case WriteLog::Level::kInfo:
      spdlog::info("{}", log.text);
      break;
    case WriteLog::Level::kWarning:
      spdlog::warn("{}", log.text);
      break;
    case WriteLog::Level::kError:
      spdlog::error("{}", log.text);
      break;
  }
}

// Carries one effect out; the value of an `Exit`.
struct Performer {
  SessionClient& client;
  Executor& executor;

  std::optional<Exit> operator()(CallRegister& effect) {
    client.Register(effect.request);
    return std::nullopt;
  }
  std::optional<Exit> operator()(OpenSession& effect) {
    client.OpenSession(effect.session);
    return std::nullopt;
  }
  std::optional<Exit> operator()(SendMessage& effect) {
    client.Send(std::move(effect.message));
    return std::nullopt;
  }
  std::optional<Exit> operator()(CloseSession&) {
    client.CloseSession();
    return std::nullopt;
  }
  std::optional<Exit> operator()(WriteLog& effect) {
    Write(effect);
    return std::nullopt;
  }
  std::optional<Exit> operator()(Exit& effect) { return std::move(effect); }
  // What is left is for the executor.
  template <typename Order>
  std::optional<Exit> operator()(Order& effect) {
    executor.Do(std::move(effect));
    return std::nullopt;
  }
};

}  // namespace

void ServerLoop::Post(Event event) {
  MutexLock lock(&mutex_);
  events_.push_back(std::move(event));
  wake_.Signal();
}

Exit ServerLoop::Run(SessionCore& core, SessionClient& client,
                     Executor& executor) {
  Performer performer{client, executor};
  std::vector<Effect> effects = core.Start(Now());
  while (true) {
    for (Effect& effect : effects) {
      if (auto exit = std::visit(performer, effect)) return *std::move(exit);
    }
    on_turn_(core);
    const std::optional<Event> event = Next(core.next_wake());
    effects.clear();
    if (event.has_value()) effects = core.Apply(*event, Now());
  }
}

std::optional<Event> ServerLoop::Next(absl::Time wake) {
  MutexLock lock(&mutex_);
  if (events_.empty()) {
    const absl::Duration left = wake - Now();
    if (left <= absl::ZeroDuration()) return Tick{};
    // A short wait: the deadline is on a clock that may be set.
    wake_.WaitWithDeadline(
        &mutex_,
        clock_.Now() + std::min(left, absl::Duration(absl::Seconds(1))));
    if (events_.empty()) return std::nullopt;
  }
  // A tick that is due is not kept waiting by a stream of events.
  if (Now() >= wake) return Tick{};
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

absl::Time ServerLoop::Now() const {
  return start_time_ + absl::Nanoseconds(MonotonicNanos() - start_nanos_);
}

}  // namespace penstock
