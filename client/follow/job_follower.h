#ifndef PENSTOCK_CLIENT_FOLLOW_JOB_FOLLOWER_H_
#define PENSTOCK_CLIENT_FOLLOW_JOB_FOLLOWER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/follow/coordinator_client.h"
#include "client/follow/progress_view.h"
#include "client/interrupt.h"
#include "client/render/loss_curve.h"
#include "proto/coordinator_service.pb.h"

namespace penstock {

struct FollowedJob {
  // As it was when following ended: in a terminal state if `status` is OK.
  JobInfo info;
  // Every step seen, for the picture.
  std::vector<LossPoint> losses;
  // Of the newest traced step; empty until somebody has fetched it.
  std::string timeline_svg;
  // OK, or why following ended before the job did: CANCELLED (`stop`),
  // DATA_LOSS (the coordinator was away for the grace time), UNAVAILABLE.
  absl::Status status;
};

// Shows the job `info` in `view` until it has ended: its events as notes, its
// steps as progress. Survives a restart of the coordinator within `grace`.
// Never changes the job.
FollowedJob FollowJob(CoordinatorClient& coordinator, const JobInfo& info,
                      ProgressView& view, absl::Duration grace,
                      Interrupt& stop);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_FOLLOW_JOB_FOLLOWER_H_
