#ifndef PENSTOCK_TESTS_BENCH_RANK_THREADS_H_
#define PENSTOCK_TESTS_BENCH_RANK_THREADS_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"
#include "stage_server/transport/transport.h"

namespace penstock {

using EndpointFactory =
    std::function<absl::StatusOr<std::unique_ptr<TransportEndpoint>>()>;

// One rank's work on its thread. `meet` returns when every rank has called it;
// call it before the transport goes, since a peer may still be sending.
using RankBody = std::function<absl::Status(
    RankId rank, std::unique_ptr<Transport> transport,
    const std::function<void()>& meet)>;

// Runs `body` for every rank of `schedule`, each on a thread of its own with a
// connected transport. Ends the process, naming the rank, when a body fails:
// the others would wait for it.
absl::Status RunRankThreads(const Schedule& schedule,
                            const EndpointFactory& make_endpoint,
                            const RankBody& body);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_BENCH_RANK_THREADS_H_
