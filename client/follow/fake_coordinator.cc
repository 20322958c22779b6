#include "client/follow/fake_coordinator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"

namespace penstock {

FakeCoordinator::FakeCoordinator(Script script) : script_(std::move(script)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(static_cast<JobService::Service*>(this));
  builder.RegisterService(static_cast<AdminService::Service*>(this));
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeCoordinator::~FakeCoordinator() { Shutdown(); }

void FakeCoordinator::Shutdown() {
  {
    MutexLock lock(&mutex_);
    if (shutdown_) return;
    shutdown_ = true;
    changed_.SignalAll();
  }
  server_->Shutdown();
  server_->Wait();
}

Job FakeCoordinator::submitted() const {
  MutexLock lock(&mutex_);
  return job_;
}

int FakeCoordinator::submissions() const {
  MutexLock lock(&mutex_);
  return submissions_;
}

std::string FakeCoordinator::cancel_reason() const {
  MutexLock lock(&mutex_);
  return cancel_reason_;
}

CommitImportRequest FakeCoordinator::imported() const {
  MutexLock lock(&mutex_);
  return imported_;
}

double FakeCoordinator::drain_deadline() const {
  MutexLock lock(&mutex_);
  return drain_deadline_;
}

void FakeCoordinator::WaitForSubmission() {
  MutexLock lock(&mutex_);
  while (submissions_ == 0) changed_.Wait(&mutex_);
}

void FakeCoordinator::WaitForFollower() {
  MutexLock lock(&mutex_);
  while (!followed_) changed_.Wait(&mutex_);
}

void FakeCoordinator::WaitForListing() {
  MutexLock lock(&mutex_);
  while (!listed_) changed_.Wait(&mutex_);
}

grpc::Status FakeCoordinator::Gate(grpc::ServerContext* context) {
  MutexLock lock(&mutex_);
  while (script_.hangs && !shutdown_ && !context->IsCancelled()) {
    changed_.WaitWithDeadline(&mutex_,
                              SystemClock().Now() + absl::Milliseconds(20));
  }
  return script_.refusal;
}

JobInfo FakeCoordinator::Info() {
  JobInfo info;
  info.set_id("j-1");
  *info.mutable_job() = job_;
  info.set_state(state_);
  info.set_reason(cancel_reason_);
  if (sent_ > 0) *info.mutable_latest() = script_.records[sent_ - 1];
  if (script_.fractions.runtime() > 0) {
    *info.mutable_fractions() = script_.fractions;
  }
  if (state_ == JOB_STATE_SUCCEEDED) info.set_weights_digest("12ab");
  return info;
}

grpc::Status FakeCoordinator::SubmitJob(grpc::ServerContext* context,
                                        const SubmitJobRequest* request,
                                        SubmitJobResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  MutexLock lock(&mutex_);
  job_ = request->job();
  ++submissions_;
  changed_.SignalAll();
  *response->mutable_job() = Info();
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::ValidateJob(grpc::ServerContext* context,
                                          const ValidateJobRequest* request,
                                          ValidateJobResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  *response->mutable_plan()->mutable_job() = request->job();
  response->mutable_plan()->add_stages()->add_layers("embed");
  response->set_grid("0F0 0B0");
  response->set_would_wait_for("2 stage servers, none is idle");
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::GetJob(grpc::ServerContext* context,
                                     const GetJobRequest* request,
                                     GetJobResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  if (request->job() != "j-1") {
    return {grpc::StatusCode::NOT_FOUND,
            absl::StrCat("no job \"", request->job(), "\"")};
  }
  MutexLock lock(&mutex_);
  *response->mutable_job() = Info();
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::ListJobs(grpc::ServerContext* context,
                                       const ListJobsRequest* request,
                                       ListJobsResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  MutexLock lock(&mutex_);
  *response->add_jobs() = Info();
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::CancelJob(grpc::ServerContext* context,
                                        const CancelJobRequest* request,
                                        CancelJobResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  MutexLock lock(&mutex_);
  state_ = JOB_STATE_CANCELLED;
  cancel_reason_ = request->reason();
  changed_.SignalAll();
  *response->mutable_job() = Info();
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::WatchEvents(grpc::ServerContext* context,
                                          const WatchEventsRequest* request,
                                          grpc::ServerWriter<Event>* writer) {
  for (const Event& event : script_.events) {
    if (event.sequence() > request->after_sequence()) writer->Write(event);
  }
  if (request->follow()) WaitForCancel(context);
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::StreamLogs(grpc::ServerContext* context,
                                         const StreamLogsRequest* request,
                                         grpc::ServerWriter<LogLine>* writer) {
  for (const LogLine& line : script_.logs) {
    if (line.sequence() > request->after_sequence()) writer->Write(line);
  }
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::StreamProgress(
    grpc::ServerContext* context, const StreamProgressRequest* request,
    grpc::ServerWriter<ProgressRecord>* writer) {
  {
    MutexLock lock(&mutex_);
    followed_ = true;
    changed_.SignalAll();
  }
  int sent_here = 0;
  for (const ProgressRecord& record : script_.records) {
    if (record.step() <= request->after_step()) continue;
    {
      MutexLock lock(&mutex_);
      if (script_.always_break ||
          (sent_here == script_.break_after && !broke_)) {
        broke_ = true;
        return {grpc::StatusCode::UNAVAILABLE, "restarting"};
      }
      ++sent_;
    }
    writer->Write(record);
    ++sent_here;
  }
  if (script_.runs_until_cancelled) {
    if (!WaitForCancel(context)) {
      return {grpc::StatusCode::UNAVAILABLE, "going"};
    }
    return grpc::Status::OK;
  }
  MutexLock lock(&mutex_);
  state_ = script_.final_state;
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::ListServers(grpc::ServerContext* context,
                                          const ListServersRequest* request,
                                          ListServersResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  MutexLock lock(&mutex_);
  listed_ = true;
  changed_.SignalAll();
  response->set_coordinator_term(3);
  response->set_coordinator_build_version("0.1.0");
  const bool drained = listings_left_-- <= 0;
  for (auto& [name, duty] : duties_) {
    if (drained && duty.first == SERVER_DUTY_DRAINING) {
      duty.first = SERVER_DUTY_CORDONED;
    }
  }
  for (int i = 0; i < script_.servers; ++i) {
    *response->add_servers() = Server(i);
  }
  return grpc::Status::OK;
}

ServerInfo FakeCoordinator::Server(int index) {
  ServerInfo server;
  server.set_id(absl::StrCat("s-", index));
  server.set_name(absl::StrCat("host-", index));
  server.set_state(SERVER_STATE_IDLE);
  const auto duty = duties_.find(server.name());
  if (duty == duties_.end()) return server;
  server.set_duty(duty->second.first);
  server.set_duty_reason(duty->second.second);
  return server;
}

grpc::Status FakeCoordinator::SetDuty(const std::string& name, ServerDuty duty,
                                      const std::string& reason,
                                      ServerInfo* info) {
  MutexLock lock(&mutex_);
  for (int i = 0; i < script_.servers; ++i) {
    if (Server(i).name() != name) continue;
    duties_[name] = {duty, reason};
    *info = Server(i);
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::NOT_FOUND,
          absl::StrCat("no stage server \"", name, "\"")};
}

grpc::Status FakeCoordinator::CordonServer(grpc::ServerContext* context,
                                           const CordonServerRequest* request,
                                           CordonServerResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  return SetDuty(request->server(), SERVER_DUTY_CORDONED, request->reason(),
                 response->mutable_server());
}

grpc::Status FakeCoordinator::DrainServer(grpc::ServerContext* context,
                                          const DrainServerRequest* request,
                                          DrainServerResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  {
    MutexLock lock(&mutex_);
    listings_left_ = script_.draining_listings;
    drain_deadline_ = request->deadline_seconds();
  }
  return SetDuty(request->server(), SERVER_DUTY_DRAINING, request->reason(),
                 response->mutable_server());
}

grpc::Status FakeCoordinator::UncordonServer(
    grpc::ServerContext* context, const UncordonServerRequest* request,
    UncordonServerResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  return SetDuty(request->server(), SERVER_DUTY_UNSPECIFIED, "",
                 response->mutable_server());
}

grpc::Status FakeCoordinator::GetTimeline(grpc::ServerContext* context,
                                          const GetTimelineRequest* request,
                                          GetTimelineResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  for (const GetTimelineResponse& timeline : script_.timelines) {
    if (!request->has_step() || request->step() == timeline.step()) {
      *response = timeline;
    }
  }
  if (response->step() == 0) {
    return {grpc::StatusCode::NOT_FOUND, "that step was not traced"};
  }
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::SuspendJob(grpc::ServerContext* context,
                                         const SuspendJobRequest*,
                                         SuspendJobResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  MutexLock lock(&mutex_);
  state_ = JOB_STATE_SUSPENDING;
  *response->mutable_job() = Info();
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::ResumeJob(grpc::ServerContext* context,
                                        const ResumeJobRequest*,
                                        ResumeJobResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  MutexLock lock(&mutex_);
  state_ = JOB_STATE_QUEUED;
  *response->mutable_job() = Info();
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::ListCheckpoints(
    grpc::ServerContext* context, const ListCheckpointsRequest*,
    ListCheckpointsResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  for (const GetCheckpointResponse& one : script_.checkpoints) {
    *response->add_checkpoints() = one.info();
  }
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::Find(const std::string& checkpoint,
                                   GetCheckpointResponse& found) const {
  for (const GetCheckpointResponse& one : script_.checkpoints) {
    if (checkpoint != absl::StrCat("j-1@", one.info().id().step())) continue;
    found = one;
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::NOT_FOUND,
          absl::StrCat("no checkpoint ", checkpoint)};
}

grpc::Status FakeCoordinator::GetCheckpoint(grpc::ServerContext* context,
                                            const GetCheckpointRequest* request,
                                            GetCheckpointResponse* response) {
  const grpc::Status gate = Gate(context);
  return gate.ok() ? Find(request->checkpoint(), *response) : gate;
}

grpc::Status FakeCoordinator::VerifyCheckpoint(
    grpc::ServerContext*, const VerifyCheckpointRequest* request,
    grpc::ServerWriter<VerifyProgress>* writer) {
  GetCheckpointResponse found;
  const grpc::Status status = Find(request->checkpoint(), found);
  if (!status.ok()) return status;
  VerifyProgress progress;
  progress.set_total_bytes(found.info().size_bytes());
  writer->Write(progress);
  progress.set_done_bytes(found.info().size_bytes());
  writer->Write(progress);
  return script_.verdict;
}

grpc::Status FakeCoordinator::PinCheckpoint(grpc::ServerContext* context,
                                            const PinCheckpointRequest* request,
                                            PinCheckpointResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  GetCheckpointResponse found;
  const grpc::Status status = Find(request->checkpoint(), found);
  *response->mutable_info() = found.info();
  response->mutable_info()->set_pinned(request->pinned());
  return status;
}

grpc::Status FakeCoordinator::DeleteCheckpoint(
    grpc::ServerContext* context, const DeleteCheckpointRequest* request,
    DeleteCheckpointResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  GetCheckpointResponse found;
  const grpc::Status status = Find(request->checkpoint(), found);
  if (!status.ok()) return status;
  if (!request->force() && script_.checkpoints.size() == 1) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            "it is the only one; --force deletes it"};
  }
  *response->mutable_info() = found.info();
  return grpc::Status::OK;
}

grpc::Status FakeCoordinator::BeginImport(grpc::ServerContext* context,
                                          const BeginImportRequest*,
                                          BeginImportResponse* response) {
  *response = script_.import;
  return Gate(context);
}

grpc::Status FakeCoordinator::CommitImport(grpc::ServerContext* context,
                                           const CommitImportRequest* request,
                                           CommitImportResponse* response) {
  const grpc::Status gate = Gate(context);
  if (!gate.ok()) return gate;
  MutexLock lock(&mutex_);
  imported_ = *request;
  *response->mutable_info()->mutable_id() = request->checkpoint();
  response->mutable_info()->set_job_name(request->job().name());
  response->mutable_info()->set_state(CHECKPOINT_STATE_COMMITTED);
  return grpc::Status::OK;
}

bool FakeCoordinator::WaitForCancel(grpc::ServerContext* context) {
  MutexLock lock(&mutex_);
  while (state_ != JOB_STATE_CANCELLED) {
    if (shutdown_ || context->IsCancelled()) return false;
    changed_.WaitWithDeadline(&mutex_,
                              SystemClock().Now() + absl::Milliseconds(20));
  }
  return true;
}

std::vector<ProgressRecord> FallingRecords(int count) {
  std::vector<ProgressRecord> records;
  for (int step = 1; step <= count; ++step) {
    ProgressRecord record;
    record.set_step(step);
    record.set_loss(5.5 - 0.1 * step);
    record.set_step_seconds(0.05);
    record.set_tokens_per_second(12'345);
    record.set_bubble_fraction(0.25);
    record.set_finished_unix_nanos(int64_t{1'700'000'000'000'000'000} +
                                   step * int64_t{2'000'000'000});
    records.push_back(record);
  }
  return records;
}

}  // namespace penstock
