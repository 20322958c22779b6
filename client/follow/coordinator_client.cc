#include "client/follow/coordinator_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/tls/identity.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "client/follow/coordinator_services.h"

namespace penstock {
namespace {

constexpr int kMaxAnswerBytes = 64 << 20;

std::shared_ptr<grpc::Channel> MakeChannel(const CoordinatorSetting& setting) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // What one attempt to connect may take: a busy machine needs its time.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  // The default of two minutes would outlast a restart by far.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  // A step's times on all ranks, with the plan.
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // Control traffic never goes through a web proxy.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(
      setting.address, ChannelCredentialsOf(setting.tls, {Role::kCoordinator}),
      arguments);
}

// What may be wrong besides: the two do not speak the same.
std::string Advice(const CoordinatorSetting& setting) {
  if (setting.tls == nullptr) {
    return "; start one with `penstock local up`, or say where it is with "
           "--coordinator HOST:PORT; one that serves with TLS wants --tls-dir";
  }
  return absl::StrCat("; it must serve with TLS, believe the authority of ",
                      ToString(setting.tls->identity()),
                      " and be believed by ca.crt; one without TLS wants "
                      "--insecure");
}

// gRPC tells the whole path of layers; the reason comes last.
std::string LastPart(const std::string& message) {
  const size_t colon = message.rfind(": ");
  return colon == std::string::npos ? message : message.substr(colon + 2);
}

}  // namespace

absl::Duration BackOff(int attempt) {
  return std::min(absl::Milliseconds(100) * (1 << std::min(attempt, 10)),
                  absl::Seconds(5));
}

absl::Status FromGrpc(const grpc::Status& status,
                      const CoordinatorSetting& setting) {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  switch (code) {
    case absl::StatusCode::kOk:
      return absl::OkStatus();
    case absl::StatusCode::kUnavailable:
      return absl::UnavailableError(
          absl::StrCat("no coordinator answers at ", setting.address, " (from ",
                       setting.origin, "): ", LastPart(status.error_message()),
                       Advice(setting)));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(absl::StrCat(
          "the coordinator at ", setting.address,
          " did not answer in time; try again with a longer --timeout"));
    default:
      return absl::Status(code, status.error_message());
  }
}

CoordinatorClient::CoordinatorClient(CoordinatorSetting setting,
                                     CallPolicy policy, Interrupt* interrupt)
    : setting_(std::move(setting)),
      policy_(policy),
      interrupt_(interrupt),
      services_(MakeServices(setting_)) {}

CoordinatorClient::~CoordinatorClient() = default;

std::unique_ptr<CoordinatorClient::Services> CoordinatorClient::MakeServices(
    const CoordinatorSetting& setting) {
  auto services = std::make_unique<Services>();
  services->channel = MakeChannel(setting);
  services->jobs = JobService::NewStub(services->channel);
  services->admin = AdminService::NewStub(services->channel);
  return services;
}

absl::Status CoordinatorClient::Retry(
    const std::function<grpc::Status(grpc::ClientContext*)>& call) {
  const absl::Time start = SystemClock().Now();
  const absl::Time deadline = start + policy_.timeout;
  const absl::Time give_up =
      std::min(start + policy_.retry_unavailable, deadline);
  for (int attempt = 0;; ++attempt) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    grpc::Status status;
    {
      const Interrupt::Registration cancel =
          interrupt_->OnTrip([&context] { context.TryCancel(); });
      status = call(&context);
    }
    if (status.ok()) return absl::OkStatus();
    if (interrupt_->tripped()) return absl::CancelledError("interrupted");
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE ||
        SystemClock().Now() + BackOff(attempt) > give_up) {
      return FromGrpc(status, setting_);
    }
    interrupt_->WaitFor(BackOff(attempt));
  }
}

absl::StatusOr<JobInfo> CoordinatorClient::SubmitJob(
    const Job& job, const std::string& idempotency_key) {
  SubmitJobRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  *request.mutable_job() = job;
  SubmitJobResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->SubmitJob(context, request, &response);
  }));
  return std::move(*response.mutable_job());
}

absl::StatusOr<ValidateJobResponse> CoordinatorClient::ValidateJob(
    const Job& job) {
  ValidateJobRequest request;
  *request.mutable_job() = job;
  ValidateJobResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->ValidateJob(context, request, &response);
  }));
  return response;
}

absl::StatusOr<JobInfo> CoordinatorClient::GetJob(const std::string& job) {
  GetJobRequest request;
  request.set_job(job);
  GetJobResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->GetJob(context, request, &response);
  }));
  return std::move(*response.mutable_job());
}

absl::StatusOr<ListJobsResponse> CoordinatorClient::ListJobs(bool all) {
  ListJobsRequest request;
  request.set_all(all);
  ListJobsResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->ListJobs(context, request, &response);
  }));
  return response;
}

absl::StatusOr<JobInfo> CoordinatorClient::CancelJob(
    const std::string& job, const std::string& reason,
    const std::string& idempotency_key) {
  CancelJobRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_job(job);
  request.set_reason(reason);
  CancelJobResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->CancelJob(context, request, &response);
  }));
  return std::move(*response.mutable_job());
}

absl::StatusOr<JobInfo> CoordinatorClient::SuspendJob(
    const std::string& job, const std::string& reason,
    const std::string& idempotency_key) {
  SuspendJobRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_job(job);
  request.set_reason(reason);
  SuspendJobResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->SuspendJob(context, request, &response);
  }));
  return std::move(*response.mutable_job());
}

absl::StatusOr<JobInfo> CoordinatorClient::ResumeJob(
    const std::string& job, const std::string& idempotency_key) {
  ResumeJobRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_job(job);
  ResumeJobResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->ResumeJob(context, request, &response);
  }));
  return std::move(*response.mutable_job());
}

absl::StatusOr<ListCheckpointsResponse> CoordinatorClient::ListCheckpoints(
    const std::string& job, bool all) {
  ListCheckpointsRequest request;
  request.set_job(job);
  request.set_all(all);
  ListCheckpointsResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->ListCheckpoints(context, request, &response);
  }));
  return response;
}

absl::StatusOr<GetCheckpointResponse> CoordinatorClient::GetCheckpoint(
    const std::string& checkpoint) {
  GetCheckpointRequest request;
  request.set_checkpoint(checkpoint);
  GetCheckpointResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->GetCheckpoint(context, request, &response);
  }));
  return response;
}

absl::StatusOr<CheckpointInfo> CoordinatorClient::PinCheckpoint(
    const std::string& checkpoint, bool pinned,
    const std::string& idempotency_key) {
  PinCheckpointRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_checkpoint(checkpoint);
  request.set_pinned(pinned);
  PinCheckpointResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->PinCheckpoint(context, request, &response);
  }));
  return std::move(*response.mutable_info());
}

absl::StatusOr<CheckpointInfo> CoordinatorClient::DeleteCheckpoint(
    const std::string& checkpoint, bool force,
    const std::string& idempotency_key) {
  DeleteCheckpointRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_checkpoint(checkpoint);
  request.set_force(force);
  DeleteCheckpointResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->DeleteCheckpoint(context, request, &response);
  }));
  return std::move(*response.mutable_info());
}

absl::StatusOr<BeginImportResponse> CoordinatorClient::BeginImport(
    const Job& job) {
  BeginImportRequest request;
  *request.mutable_job() = job;
  BeginImportResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->BeginImport(context, request, &response);
  }));
  return response;
}

absl::StatusOr<CheckpointInfo> CoordinatorClient::CommitImport(
    const CommitImportRequest& request) {
  CommitImportResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->CommitImport(context, request, &response);
  }));
  return std::move(*response.mutable_info());
}

absl::StatusOr<ListServersResponse> CoordinatorClient::ListServers() {
  ListServersResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->admin->ListServers(context, ListServersRequest(),
                                         &response);
  }));
  return response;
}

absl::StatusOr<ServerInfo> CoordinatorClient::CordonServer(
    const std::string& server, const std::string& reason,
    const std::string& idempotency_key) {
  CordonServerRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_server(server);
  request.set_reason(reason);
  CordonServerResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->admin->CordonServer(context, request, &response);
  }));
  return std::move(*response.mutable_server());
}

absl::StatusOr<ServerInfo> CoordinatorClient::DrainServer(
    const std::string& server, const std::string& reason,
    double deadline_seconds, const std::string& idempotency_key) {
  DrainServerRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_server(server);
  request.set_reason(reason);
  request.set_deadline_seconds(deadline_seconds);
  DrainServerResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->admin->DrainServer(context, request, &response);
  }));
  return std::move(*response.mutable_server());
}

absl::StatusOr<ServerInfo> CoordinatorClient::UncordonServer(
    const std::string& server, const std::string& idempotency_key) {
  UncordonServerRequest request;
  request.mutable_fence();
  request.set_idempotency_key(idempotency_key);
  request.set_server(server);
  UncordonServerResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->admin->UncordonServer(context, request, &response);
  }));
  return std::move(*response.mutable_server());
}

absl::StatusOr<GetTimelineResponse> CoordinatorClient::GetTimeline(
    const std::string& job, std::optional<int64_t> step) {
  GetTimelineRequest request;
  request.set_job(job);
  if (step.has_value()) request.set_step(*step);
  GetTimelineResponse response;
  PENSTOCK_RETURN_IF_ERROR(Retry([&](grpc::ClientContext* context) {
    return services_->jobs->GetTimeline(context, request, &response);
  }));
  return response;
}

}  // namespace penstock
