#include "coordinator/service/job_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "checkpoint/transfer/grpc_status.h"
#include "coordinator/core/job_lookup.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/core/memory_fit.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/plan_builder.h"
#include "coordinator/service/audit.h"
#include "coordinator/service/page_stream.h"
#include "coordinator/service/start_reader.h"

namespace penstock {
namespace {

// Rows that one page of a stream takes from the store.
constexpr int kPageRows = 256;

grpc::ServerUnaryReactor* Refuse(grpc::ServerUnaryReactor* reactor,
                                 const absl::Status& status) {
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// No server that can be heard has anything more to say about the job.
bool IsSettled(const ClusterState& state, const JobRecord& job) {
  return IsTerminal(job.info.state()) &&
         std::none_of(state.servers.begin(), state.servers.end(),
                      [&job](const auto& entry) {
                        const ServerRecord& server = entry.second;
                        return server.info.job_id() == job.info.id() &&
                               server.session != 0;
                      });
}

// The job has ended, and why is known.
bool HasItsReason(const JobRecord& job) {
  return IsTerminal(job.info.state()) && !job.hang.has_value();
}

bool IsOfStage(const LogLine& line, const StreamLogsRequest& request) {
  return !request.has_stage() ||
         std::find(line.stages().begin(), line.stages().end(),
                   request.stage()) != line.stages().end();
}

// Next page of a job's log; moves `request`'s cursor.
absl::StatusOr<Page<LogLine>> FetchLogs(StreamLogsRequest& request,
                                        const LoopView& view) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindJob(view.state, request.job()));
  request.set_job(id);
  const bool over =
      !request.follow() || IsSettled(view.state, view.state.jobs.at(id));
  Page<LogLine> page;
  while (page.rows.empty() && !page.is_last) {
    PENSTOCK_ASSIGN_OR_RETURN(
        std::vector<LogLine> lines,
        view.store.ReadLogs(id, request.after_sequence(), kPageRows));
    page.is_last = over && lines.size() < kPageRows;
    if (lines.empty()) break;
    request.set_after_sequence(lines.back().sequence());
    for (LogLine& line : lines) {
      if (IsOfStage(line, request)) page.rows.push_back(std::move(line));
    }
  }
  return page;
}

absl::StatusOr<Page<ProgressRecord>> FetchSteps(StreamProgressRequest& request,
                                                const LoopView& view) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindJob(view.state, request.job()));
  request.set_job(id);
  Page<ProgressRecord> page;
  PENSTOCK_ASSIGN_OR_RETURN(
      page.rows, view.store.ReadSteps(id, request.after_step(), kPageRows));
  if (!page.rows.empty()) request.set_after_step(page.rows.back().step());
  page.is_last = page.rows.size() < kPageRows &&
                 (!request.follow() || HasItsReason(view.state.jobs.at(id)));
  return page;
}

// Up to two steps before and after the one that was asked for.
std::string NearestSteps(const std::vector<int64_t>& steps, int64_t step) {
  const auto after = std::lower_bound(steps.begin(), steps.end(), step);
  const auto first = after - std::min<int64_t>(2, after - steps.begin());
  const auto last = after + std::min<int64_t>(2, steps.end() - after);
  return absl::StrJoin(first, last, ", ");
}

absl::Status FillTimeline(const GetTimelineRequest& request,
                          const LoopView& view, GetTimelineResponse& response) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindJob(view.state, request.job()));
  const JobRecord& job = view.state.jobs.at(id);
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<int64_t> steps,
                            view.store.ReadTimelineSteps(id));
  if (steps.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "job ", id, " has no traced step: it is ", Name(job.info.state()),
        " and has finished ", job.info.latest().step(), " steps"));
  }
  const int64_t step = request.has_step() ? request.step() : steps.back();
  if (!std::binary_search(steps.begin(), steps.end(), step)) {
    return absl::NotFoundError(absl::StrCat(
        "step ", step, " of job ", id, " was not traced; the nearest that ",
        "were: ", NearestSteps(steps, step), " (the last is ", steps.back(),
        ")"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(TimelineRow row, view.store.ReadTimeline(id, step));
  if (job.plan) {
    *response.mutable_plan() = *job.plan;
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(*response.mutable_plan(),
                              view.store.ReadPlan(id));
  }
  const int ranks = response.plan().schedule().ranks_size();
  if (row.ranks_size() != ranks) {
    return absl::NotFoundError(absl::StrCat(
        "step ", step, " of job ", id, " was traced when it had ",
        row.ranks_size(), " ranks, and since a restart it has ", ranks,
        "; ask for a later one (the last is ", steps.back(), ")"));
  }
  response.set_step(step);
  *response.mutable_ranks() = std::move(*row.mutable_ranks());
  response.mutable_steps()->Add(steps.begin(), steps.end());
  return absl::OkStatus();
}

absl::StatusOr<Page<Event>> FetchEvents(WatchEventsRequest& request,
                                        const LoopView& view) {
  if (!request.job().empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                              FindJob(view.state, request.job()));
    request.set_job(id);
  }
  Page<Event> page;
  PENSTOCK_ASSIGN_OR_RETURN(
      page.rows, view.store.ReadEvents(request.job(), request.after_sequence(),
                                       kPageRows));
  if (!page.rows.empty()) {
    request.set_after_sequence(page.rows.back().sequence());
  }
  page.is_last = page.rows.size() < kPageRows && !request.follow();
  return page;
}

absl::Status FillJob(const GetJobRequest& request, const LoopView& view,
                     GetJobResponse& response) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string id,
                            FindJob(view.state, request.job()));
  const JobRecord& job = view.state.jobs.at(id);
  *response.mutable_job() = DescribeJob(view.state, job, /*with_plan=*/true);
  if (job.plan) return absl::OkStatus();
  PENSTOCK_ASSIGN_OR_RETURN(*response.mutable_job()->mutable_plan(),
                            view.store.ReadPlan(id));
  AddPredictions(response.job().plan(), *response.mutable_job());
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* JobServiceAdapter::SubmitJob(
    grpc::CallbackServerContext* context, const SubmitJobRequest* request,
    SubmitJobResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "SubmitJob", absl::StrCat("new job ", request->job().name()));
  absl::StatusOr<BuiltPlan> built = BuildPlan(request->job());
  if (!built.ok()) return Refuse(reactor, built.status());
  JobSubmitted event{request->fence(),
                     request->idempotency_key(),
                     new_id_(),
                     std::make_shared<const Plan>(std::move(built->plan)),
                     std::move(built->parameter_layers),
                     nullptr};
  ReadStart(
      loop_, event.idempotency_key, event.plan,
      [=, this](StartOrStatus start) mutable {
        if (!start.ok()) {
          reactor->Finish(ToGrpcStatus(start.status()));
          return;
        }
        event.restore = *std::move(start);
        loop_.Submit(
            std::move(event),
            [=](const absl::StatusOr<std::string>& id, const LoopView& view) {
              if (id.ok()) {
                *response->mutable_job() = DescribeJob(
                    view.state, view.state.jobs.at(*id), /*with_plan=*/false);
              }
              reactor->Finish(ToGrpcStatus(id.status()));
            });
      });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::ValidateJob(
    grpc::CallbackServerContext* context, const ValidateJobRequest* request,
    ValidateJobResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::StatusOr<BuiltPlan> built = BuildPlan(request->job());
  if (!built.ok()) return Refuse(reactor, built.status());
  response->set_grid(std::move(built->grid));
  *response->mutable_plan() = std::move(built->plan);
  loop_.Ask([=](const LoopView& view) {
    response->set_would_wait_for(WouldWaitFor(view.state, response->plan()));
    reactor->Finish(ToGrpcStatus(CheckMemory(view.state, response->plan())));
  });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::GetJob(
    grpc::CallbackServerContext* context, const GetJobRequest* request,
    GetJobResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Ask([=](const LoopView& view) {
    reactor->Finish(ToGrpcStatus(FillJob(*request, view, *response)));
  });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::ListJobs(
    grpc::CallbackServerContext* context, const ListJobsRequest* request,
    ListJobsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Ask([=](const LoopView& view) {
    for (const JobRecord* job : JobsInOrder(view.state)) {
      if (IsTerminal(job->info.state()) && !request->all()) continue;
      *response->add_jobs() =
          DescribeJob(view.state, *job, /*with_plan=*/false);
    }
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::CancelJob(
    grpc::CallbackServerContext* context, const CancelJobRequest* request,
    CancelJobResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "CancelJob", request->job());
  loop_.Submit(
      JobCancelRequested{request->fence(), request->job(), request->reason()},
      [=](const absl::StatusOr<std::string>& id, const LoopView& view) {
        if (id.ok()) {
          *response->mutable_job() = DescribeJob(
              view.state, view.state.jobs.at(*id), /*with_plan=*/false);
        }
        reactor->Finish(ToGrpcStatus(id.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::SuspendJob(
    grpc::CallbackServerContext* context, const SuspendJobRequest* request,
    SuspendJobResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "SuspendJob", request->job());
  loop_.Submit(
      JobSuspendRequested{request->fence(), request->job(), request->reason()},
      [=](const absl::StatusOr<std::string>& id, const LoopView& view) {
        if (id.ok()) {
          *response->mutable_job() = DescribeJob(
              view.state, view.state.jobs.at(*id), /*with_plan=*/false);
        }
        reactor->Finish(ToGrpcStatus(id.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::ResumeJob(
    grpc::CallbackServerContext* context, const ResumeJobRequest* request,
    ResumeJobResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "ResumeJob", request->job());
  ReadNewest(loop_, request->job(), [=, this](StartOrStatus newest) {
    if (!newest.ok()) {
      reactor->Finish(ToGrpcStatus(newest.status()));
      return;
    }
    loop_.Submit(
        JobResumeRequested{request->fence(), request->job(), *newest},
        [=](const absl::StatusOr<std::string>& id, const LoopView& view) {
          if (id.ok()) {
            *response->mutable_job() = DescribeJob(
                view.state, view.state.jobs.at(*id), /*with_plan=*/false);
          }
          reactor->Finish(ToGrpcStatus(id.status()));
        });
  });
  return reactor;
}

grpc::ServerWriteReactor<Event>* JobServiceAdapter::WatchEvents(
    grpc::CallbackServerContext*, const WatchEventsRequest* request) {
  return PageStream<Event>::Start(
      loop_, [cursor = *request](const LoopView& view) mutable {
        return FetchEvents(cursor, view);
      });
}

grpc::ServerWriteReactor<LogLine>* JobServiceAdapter::StreamLogs(
    grpc::CallbackServerContext*, const StreamLogsRequest* request) {
  return PageStream<LogLine>::Start(
      loop_, [cursor = *request](const LoopView& view) mutable {
        return FetchLogs(cursor, view);
      });
}

grpc::ServerWriteReactor<ProgressRecord>* JobServiceAdapter::StreamProgress(
    grpc::CallbackServerContext*, const StreamProgressRequest* request) {
  return PageStream<ProgressRecord>::Start(
      loop_, [cursor = *request](const LoopView& view) mutable {
        return FetchSteps(cursor, view);
      });
}

grpc::ServerUnaryReactor* JobServiceAdapter::GetTimeline(
    grpc::CallbackServerContext* context, const GetTimelineRequest* request,
    GetTimelineResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Ask([=](const LoopView& view) {
    reactor->Finish(ToGrpcStatus(FillTimeline(*request, view, *response)));
  });
  return reactor;
}

}  // namespace penstock
