#ifndef PENSTOCK_COORDINATOR_SERVICE_JOB_SERVICE_H_
#define PENSTOCK_COORDINATOR_SERVICE_JOB_SERVICE_H_

#include <functional>
#include <string>
#include <utility>

#include "coordinator/service/loop.h"
#include "proto/coordinator_service.grpc.pb.h"

namespace penstock {

// Translates only: wire -> event -> loop -> wire. Plans are made on gRPC's
// threads, since making one is arithmetic without waiting. Thread-safe; `loop`
// must outlive it.
class JobServiceAdapter final : public JobService::CallbackService {
 public:
  // Fresh job ids: random, lower-case hexadecimal. Called from any thread.
  using IdSource = std::function<std::string()>;

  JobServiceAdapter(Loop& loop, IdSource new_id)
      : loop_(loop), new_id_(std::move(new_id)) {}

  grpc::ServerUnaryReactor* SubmitJob(grpc::CallbackServerContext* context,
                                      const SubmitJobRequest* request,
                                      SubmitJobResponse* response) override;
  grpc::ServerUnaryReactor* ValidateJob(grpc::CallbackServerContext* context,
                                        const ValidateJobRequest* request,
                                        ValidateJobResponse* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context,
                                   const GetJobRequest* request,
                                   GetJobResponse* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const ListJobsRequest* request,
                                     ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const CancelJobRequest* request,
                                      CancelJobResponse* response) override;
  grpc::ServerUnaryReactor* SuspendJob(grpc::CallbackServerContext* context,
                                       const SuspendJobRequest* request,
                                       SuspendJobResponse* response) override;
  grpc::ServerUnaryReactor* ResumeJob(grpc::CallbackServerContext* context,
                                      const ResumeJobRequest* request,
                                      ResumeJobResponse* response) override;
  grpc::ServerWriteReactor<Event>* WatchEvents(
      grpc::CallbackServerContext* context,
      const WatchEventsRequest* request) override;
  grpc::ServerWriteReactor<LogLine>* StreamLogs(
      grpc::CallbackServerContext* context,
      const StreamLogsRequest* request) override;
  grpc::ServerWriteReactor<ProgressRecord>* StreamProgress(
      grpc::CallbackServerContext* context,
      const StreamProgressRequest* request) override;
  grpc::ServerUnaryReactor* GetTimeline(grpc::CallbackServerContext* context,
                                        const GetTimelineRequest* request,
                                        GetTimelineResponse* response) override;

  // checkpoint_calls.cc
  grpc::ServerUnaryReactor* ListCheckpoints(
      grpc::CallbackServerContext* context,
      const ListCheckpointsRequest* request,
      ListCheckpointsResponse* response) override;
  grpc::ServerUnaryReactor* GetCheckpoint(
      grpc::CallbackServerContext* context, const GetCheckpointRequest* request,
      GetCheckpointResponse* response) override;
  grpc::ServerWriteReactor<VerifyProgress>* VerifyCheckpoint(
      grpc::CallbackServerContext* context,
      const VerifyCheckpointRequest* request) override;
  grpc::ServerUnaryReactor* PinCheckpoint(
      grpc::CallbackServerContext* context, const PinCheckpointRequest* request,
      PinCheckpointResponse* response) override;
  grpc::ServerUnaryReactor* DeleteCheckpoint(
      grpc::CallbackServerContext* context,
      const DeleteCheckpointRequest* request,
      DeleteCheckpointResponse* response) override;

  // import_calls.cc
  grpc::ServerUnaryReactor* BeginImport(grpc::CallbackServerContext* context,
                                        const BeginImportRequest* request,
                                        BeginImportResponse* response) override;
  grpc::ServerUnaryReactor* CommitImport(
      grpc::CallbackServerContext* context, const CommitImportRequest* request,
      CommitImportResponse* response) override;

 private:
  Loop& loop_;
  const IdSource new_id_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_JOB_SERVICE_H_
