#ifndef PENSTOCK_COORDINATOR_SERVICE_START_READER_H_
#define PENSTOCK_COORDINATOR_SERVICE_START_READER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/service/loop.h"
#include "proto/checkpoint.pb.h"
#include "proto/plan.pb.h"

namespace penstock {

// Null for initial weights, or what the job started from last time.
using StartOrStatus = CheckpointPort::ManifestOrStatus;

// Finds what a new job is to start from, as its `start` says, reads it and
// compares it with the job's model. A damaged checkpoint is marked so, and the
// next older one is taken, unless the job names one. Null also for a
// submission that is known by its key. `done` is called once, from any thread.
//   Errors as ChooseStart (checkpoint_catalog.h) and CheckStart
//   (checkpointed_layers.h); FAILED_PRECONDITION without a checkpoint store.
void ReadStart(Loop& loop, const std::string& idempotency_key,
               std::shared_ptr<const Plan> plan,
               std::function<void(StartOrStatus)> done);

// Reads the newest checkpoint of a suspended job in the same way; null if it
// has made none.
//   FAILED_PRECONDITION  all that it has made are damaged or gone.
void ReadNewest(Loop& loop, const std::string& job,
                std::function<void(StartOrStatus)> done);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_START_READER_H_
