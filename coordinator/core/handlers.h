#ifndef PENSTOCK_COORDINATOR_CORE_HANDLERS_H_
#define PENSTOCK_COORDINATOR_CORE_HANDLERS_H_

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/core/event.h"
#include "coordinator/core/turn.h"

namespace penstock {

// One per kind of event; parts of `Step`, which says what they promise.

// job_events.cc: what people ask.
absl::StatusOr<std::string> On(const JobSubmitted& event, Turn& turn);
absl::StatusOr<std::string> On(const JobCancelRequested& event, Turn& turn);

// server_events.cc: servers come, go and are judged.
absl::StatusOr<std::string> On(const CoordinatorStarted& event, Turn& turn);
absl::StatusOr<std::string> On(const Tick& event, Turn& turn);
absl::StatusOr<std::string> On(const ServerRegistered& event, Turn& turn);
absl::StatusOr<std::string> On(const SessionOpened& event, Turn& turn);
absl::StatusOr<std::string> On(const SessionClosed& event, Turn& turn);

// report_events.cc: what servers say in a session.
absl::StatusOr<std::string> On(const SessionSpoke& event, Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_HANDLERS_H_
