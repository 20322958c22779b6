#include "client/follow/job_follower.h"

#include <cstdint>
#include <memory>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "client/follow/follow_stream.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

// Of a checkpoint's way, how it ended.
bool IsOfInterest(const Event& event) {
  return !absl::StartsWith(event.kind(), "CHECKPOINT_") ||
         event.kind() == "CHECKPOINT_COMMITTED" ||
         event.kind() == "CHECKPOINT_ABANDONED" ||
         event.kind() == "CHECKPOINT_CORRUPT";
}

// Shows the job's events until `stop`; errors are the progress stream's to
// tell.
void FollowEvents(CoordinatorClient& coordinator, const std::string& job,
                  ProgressView& view, absl::Duration grace, Interrupt& stop) {
  WatchEventsRequest request;
  request.set_job(job);
  request.set_follow(true);
  FollowStream<Event>(
      coordinator.setting(),
      [&](grpc::ClientContext* context) {
        return coordinator.services().jobs->WatchEvents(context, request);
      },
      [&](const Event& event) {
        request.set_after_sequence(event.sequence());
        if (IsOfInterest(event)) view.ShowNote(EventNote(event));
      },
      {.grace = grace}, stop)
      .IgnoreError();
}

absl::Status FollowProgress(CoordinatorClient& coordinator,
                            const std::string& job, ProgressView& view,
                            absl::Duration grace, Interrupt& stop,
                            StreamProgressRequest& request,
                            std::vector<LossPoint>& losses) {
  ReconnectPolicy policy{.grace = grace};
  policy.on_lost = [&](const absl::Status&) {
    view.ShowNote("the coordinator is away; reconnecting");
  };
  policy.on_resumed = [&] { view.ShowNote("the coordinator is back"); };
  return FollowStream<ProgressRecord>(
      coordinator.setting(),
      [&](grpc::ClientContext* context) {
        return coordinator.services().jobs->StreamProgress(context, request);
      },
      [&](const ProgressRecord& record) {
        request.set_after_step(record.step());
        if (record.has_loss()) {
          losses.push_back({record.step(), record.loss()});
        }
        view.ShowStep(record);
      },
      policy, stop);
}

}  // namespace

FollowedJob FollowJob(CoordinatorClient& coordinator, const JobInfo& info,
                      ProgressView& view, absl::Duration grace,
                      Interrupt& stop) {
  FollowedJob followed;
  followed.info = info;
  view.Start(info.job().name(), info.job().steps());
  Interrupt events_stop;
  std::thread events(
      [&] { FollowEvents(coordinator, info.id(), view, grace, events_stop); });
  StreamProgressRequest request;
  request.set_job(info.id());
  request.set_follow(true);
  absl::Time ended_at = absl::InfiniteFuture();
  while (true) {
    followed.status = FollowProgress(coordinator, info.id(), view, grace, stop,
                                     request, followed.losses);
    if (!followed.status.ok()) break;
    const absl::StatusOr<JobInfo> now = coordinator.GetJob(info.id());
    // Away again between two calls: the stream waits for it, or gives up.
    if (absl::IsUnavailable(now.status())) continue;
    if (!now.ok()) {
      followed.status = now.status();
      break;
    }
    followed.info = *now;
    if (IsTerminal(now->state())) break;
    // The stream may end a moment before the state is settled, but not a grace
    // time.
    if (ended_at == absl::InfiniteFuture()) ended_at = SystemClock().Now();
    if (SystemClock().Now() - ended_at > grace) {
      followed.status = absl::DataLossError(
          absl::StrCat("the progress of job ", info.id(),
                       " ended but its state is ", StateName(now->state()),
                       "; look with `penstock describe ", info.id(), "`"));
      break;
    }
    if (stop.WaitFor(BackOff(1))) {
      followed.status = absl::CancelledError("interrupted");
      break;
    }
  }
  events_stop.Trip();
  events.join();
  view.Finish();
  return followed;
}

}  // namespace penstock
