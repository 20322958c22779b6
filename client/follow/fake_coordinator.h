#ifndef PENSTOCK_CLIENT_FOLLOW_FAKE_COORDINATOR_H_
#define PENSTOCK_CLIENT_FOLLOW_FAKE_COORDINATOR_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "grpcpp/grpcpp.h"
#include "proto/coordinator_service.grpc.pb.h"

namespace penstock {

// A coordinator with one job "j-1" that does as a test says, on a free port of
// 127.0.0.1. Set the script before the calls it is about; thread-safe.
class FakeCoordinator final : public JobService::Service,
                              public AdminService::Service {
 public:
  struct Script {
    // Sent to each stream, after its cursor.
    std::vector<ProgressRecord> records;
    std::vector<Event> events;
    std::vector<LogLine> logs;
    // What the job is once its progress has ended.
    JobState final_state = JOB_STATE_SUCCEEDED;
    // Answers to GetTimeline, by step, ascending.
    std::vector<GetTimelineResponse> timelines;
    // Of the job.
    Fractions fractions;
    // The progress stream ends only when the job is cancelled.
    bool runs_until_cancelled = false;
    // The first progress stream breaks after so many records; -1 never.
    int break_after = -1;
    // Every progress stream breaks.
    bool always_break = false;
    // Of the job, by step.
    std::vector<GetCheckpointResponse> checkpoints;
    // What an import is told; its files are taken as they are sent.
    BeginImportResponse import;
    // How a verification ends.
    grpc::Status verdict;
    // Stage servers that are registered, "host-0" and so on, all idle.
    int servers = 1;
    // How often a server that is to be drained is listed as DRAINING.
    int draining_listings = 0;
    // Answer of every unary call that is not OK.
    grpc::Status refusal;
    // Unary calls get no answer before their deadline.
    bool hangs = false;
  };

  explicit FakeCoordinator(Script script);
  ~FakeCoordinator() override;

  const std::string& address() const { return address_; }
  // Ends the server; the address is nobody's afterwards.
  void Shutdown();

  // The newest job that was submitted.
  Job submitted() const;
  int submissions() const;
  std::string cancel_reason() const;
  // The newest import.
  CommitImportRequest imported() const;
  // Of the newest drain.
  double drain_deadline() const;
  // Waits for the first submission.
  void WaitForSubmission();
  // Waits for the first progress stream.
  void WaitForFollower();
  // Waits until the stage servers were asked for.
  void WaitForListing();

 private:
  grpc::Status SubmitJob(grpc::ServerContext*, const SubmitJobRequest*,
                         SubmitJobResponse*) override;
  grpc::Status ValidateJob(grpc::ServerContext*, const ValidateJobRequest*,
                           ValidateJobResponse*) override;
  grpc::Status GetJob(grpc::ServerContext*, const GetJobRequest*,
                      GetJobResponse*) override;
  grpc::Status ListJobs(grpc::ServerContext*, const ListJobsRequest*,
                        ListJobsResponse*) override;
  grpc::Status CancelJob(grpc::ServerContext*, const CancelJobRequest*,
                         CancelJobResponse*) override;
  grpc::Status WatchEvents(grpc::ServerContext*, const WatchEventsRequest*,
                           grpc::ServerWriter<Event>*) override;
  grpc::Status StreamLogs(grpc::ServerContext*, const StreamLogsRequest*,
                          grpc::ServerWriter<LogLine>*) override;
  grpc::Status StreamProgress(grpc::ServerContext*,
                              const StreamProgressRequest*,
                              grpc::ServerWriter<ProgressRecord>*) override;
  grpc::Status ListServers(grpc::ServerContext*, const ListServersRequest*,
                           ListServersResponse*) override;

  grpc::Status CordonServer(grpc::ServerContext*, const CordonServerRequest*,
                            CordonServerResponse*) override;
  grpc::Status DrainServer(grpc::ServerContext*, const DrainServerRequest*,
                           DrainServerResponse*) override;
  grpc::Status UncordonServer(grpc::ServerContext*,
                              const UncordonServerRequest*,
                              UncordonServerResponse*) override;

  grpc::Status GetTimeline(grpc::ServerContext*, const GetTimelineRequest*,
                           GetTimelineResponse*) override;

  grpc::Status SuspendJob(grpc::ServerContext*, const SuspendJobRequest*,
                          SuspendJobResponse*) override;
  grpc::Status ResumeJob(grpc::ServerContext*, const ResumeJobRequest*,
                         ResumeJobResponse*) override;
  grpc::Status ListCheckpoints(grpc::ServerContext*,
                               const ListCheckpointsRequest*,
                               ListCheckpointsResponse*) override;
  grpc::Status GetCheckpoint(grpc::ServerContext*, const GetCheckpointRequest*,
                             GetCheckpointResponse*) override;
  grpc::Status VerifyCheckpoint(grpc::ServerContext*,
                                const VerifyCheckpointRequest*,
                                grpc::ServerWriter<VerifyProgress>*) override;
  grpc::Status PinCheckpoint(grpc::ServerContext*, const PinCheckpointRequest*,
                             PinCheckpointResponse*) override;
  grpc::Status DeleteCheckpoint(grpc::ServerContext*,
                                const DeleteCheckpointRequest*,
                                DeleteCheckpointResponse*) override;
  grpc::Status BeginImport(grpc::ServerContext*, const BeginImportRequest*,
                           BeginImportResponse*) override;
  grpc::Status CommitImport(grpc::ServerContext*, const CommitImportRequest*,
                            CommitImportResponse*) override;

  // NOT_FOUND unless the script has "j-1@<step>".
  grpc::Status Find(const std::string& checkpoint,
                    GetCheckpointResponse& found) const;
  grpc::Status Gate(grpc::ServerContext* context);
  ServerInfo Server(int index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // NOT_FOUND if no server has that name.
  grpc::Status SetDuty(const std::string& name, ServerDuty duty,
                       const std::string& reason, ServerInfo* info)
      ABSL_LOCKS_EXCLUDED(mutex_);
  JobInfo Info() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when the job is cancelled; false when the call or server ends.
  bool WaitForCancel(grpc::ServerContext* context);

  const Script script_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
  mutable Mutex mutex_;
  CondVar changed_;
  Job job_ ABSL_GUARDED_BY(mutex_);
  int submissions_ ABSL_GUARDED_BY(mutex_) = 0;
  JobState state_ ABSL_GUARDED_BY(mutex_) = JOB_STATE_RUNNING;
  std::string cancel_reason_ ABSL_GUARDED_BY(mutex_);
  CommitImportRequest imported_ ABSL_GUARDED_BY(mutex_);
  bool shutdown_ ABSL_GUARDED_BY(mutex_) = false;
  bool broke_ ABSL_GUARDED_BY(mutex_) = false;
  bool followed_ ABSL_GUARDED_BY(mutex_) = false;
  bool listed_ ABSL_GUARDED_BY(mutex_) = false;
  // By the server's name: what is wanted of it, and why.
  std::map<std::string, std::pair<ServerDuty, std::string>> duties_
      ABSL_GUARDED_BY(mutex_);
  int listings_left_ ABSL_GUARDED_BY(mutex_) = 0;
  double drain_deadline_ ABSL_GUARDED_BY(mutex_) = 0;
  int sent_ ABSL_GUARDED_BY(mutex_) = 0;
};

// `count` steps with a falling loss.
std::vector<ProgressRecord> FallingRecords(int count);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_FOLLOW_FAKE_COORDINATOR_H_
