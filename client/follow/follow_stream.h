#ifndef PENSTOCK_CLIENT_FOLLOW_FOLLOW_STREAM_H_
#define PENSTOCK_CLIENT_FOLLOW_FOLLOW_STREAM_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "client/follow/coordinator_services.h"
#include "client/interrupt.h"
#include "grpcpp/grpcpp.h"

namespace penstock {

// When to give a broken stream up.
struct ReconnectPolicy {
  // Counted from the break; a coordinator restarts within it.
  absl::Duration grace = absl::Seconds(60);
  // Told once per break, and once when messages come again.
  std::function<void(const absl::Status& why)> on_lost = [](const auto&) {};
  std::function<void()> on_resumed = [] {};
};

// Whether a stream that ended with `status` may be opened again: the
// coordinator went away, it did not refuse.
inline bool IsBreak(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::CANCELLED:
      return true;
    default:
      return false;
  }
}

// Reads one server stream to its end, opening it again when it breaks. `open`
// makes a reader that starts after the last message that `on_message` saw.
// Both run in this thread.
//
//   OK         the coordinator ended the stream.
//   CANCELLED  `stop` was tripped.
//   DATA_LOSS  broken for longer than the grace time.
//   else       what the coordinator answered.
template <typename Message>
absl::Status FollowStream(
    const CoordinatorSetting& setting,
    const std::function<std::unique_ptr<grpc::ClientReader<Message>>(
        grpc::ClientContext*)>& open,
    const std::function<void(const Message&)>& on_message,
    const ReconnectPolicy& policy, Interrupt& stop) {
  // A stream that lived so long had a coordinator at its other end: connecting
  // alone is given up sooner.
  constexpr absl::Duration kAlive = absl::Seconds(10);
  absl::Time lost_at = absl::InfiniteFuture();
  int attempt = 0;
  while (true) {
    grpc::ClientContext context;
    const Interrupt::Registration cancel =
        stop.OnTrip([&context] { context.TryCancel(); });
    const absl::Time opened_at = SystemClock().Now();
    const std::unique_ptr<grpc::ClientReader<Message>> reader = open(&context);
    Message message;
    while (reader->Read(&message)) {
      if (lost_at != absl::InfiniteFuture()) policy.on_resumed();
      lost_at = absl::InfiniteFuture();
      attempt = 0;
      on_message(message);
    }
    const grpc::Status status = reader->Finish();
    if (stop.tripped()) return absl::CancelledError("interrupted");
    if (status.ok()) return absl::OkStatus();
    if (!IsBreak(status)) return FromGrpc(status, setting);
    const absl::Time now = SystemClock().Now();
    if (now - opened_at > kAlive || lost_at == absl::InfiniteFuture()) {
      lost_at = now;
      policy.on_lost(FromGrpc(status, setting));
    }
    if (now - lost_at >= policy.grace) {
      return absl::DataLossError(absl::StrCat(
          "lost the coordinator at ", setting.address, " for ",
          absl::FormatDuration(policy.grace), ": ", status.error_message(),
          "; the job is unaffected, follow it again with `penstock logs -f` "
          "or `penstock status`"));
    }
    stop.WaitFor(BackOff(attempt++));
  }
}

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_FOLLOW_FOLLOW_STREAM_H_
