#include "coordinator/service/fake_stage_server.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/version.h"

namespace penstock {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(SystemClock().Now() + kPatience));
}

}  // namespace

FakeStageServer::FakeStageServer(
    const std::string& address, std::string id, uint64_t incarnation,
    const std::shared_ptr<const TlsCredentials>& tls)
    : id_(std::move(id)),
      incarnation_(incarnation),
      stub_(StageControl::NewStub(grpc::CreateChannel(
          address, ChannelCredentialsOf(tls, {Role::kCoordinator})))) {}

FakeStageServer::~FakeStageServer() { Break(); }

grpc::Status FakeStageServer::Register(const std::string& build_version) {
  RegisterRequest request;
  request.set_server_id(id_);
  request.set_incarnation(incarnation_);
  request.set_build_version(build_version);
  request.set_job_id(desired_.job_id());
  request.set_job_epoch(epoch_);
  RegisterResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  context.set_wait_for_ready(true);
  const grpc::Status status = stub_->Register(&context, request, &response);
  if (status.ok()) term_ = response.coordinator_term();
  return status;
}

void FakeStageServer::Open() {
  context_ = std::make_unique<grpc::ClientContext>();
  SetDeadline(*context_);
  stream_ = stub_->Session(context_.get());
  sequence_ = 0;
  StageMessage hello;
  hello.mutable_hello()->set_server_id(id_);
  Send(std::move(hello));
}

void FakeStageServer::Join() {
  if (Register(kBuildVersion).ok()) Open();
}

void FakeStageServer::Resume(const FakeStageServer& other) {
  desired_ = other.desired_;
  epoch_ = other.epoch_;
}

void FakeStageServer::Break() {
  if (stream_ == nullptr) return;
  context_->TryCancel();
  stream_->Finish();
  stream_.reset();
}

grpc::Status FakeStageServer::WaitForEnd() {
  while (Read()) {
  }
  const grpc::Status status = stream_->Finish();
  stream_.reset();
  return status;
}

bool FakeStageServer::Read() { return stream_ && stream_->Read(&message_); }

bool FakeStageServer::WaitFor(DesiredState::Goal goal) {
  while (Read()) {
    if (!message_.has_desired()) continue;
    if (message_.desired().goal() != DesiredState::BE_IDLE) {
      desired_ = message_.desired();
      epoch_ = message_.fence().job_epoch();
    }
    if (message_.desired().goal() == goal) return true;
  }
  return false;
}

bool FakeStageServer::WaitForAck(const std::function<bool(const Ack&)>& test) {
  while (Read()) {
    if (message_.has_ack() && test(message_.ack())) return true;
  }
  return false;
}

void FakeStageServer::Send(StageMessage message) {
  message.mutable_fence()->set_coordinator_term(term_);
  message.mutable_fence()->set_job_epoch(epoch_);
  message.set_incarnation(incarnation_);
  message.set_idempotency_sequence(++sequence_);
  stream_->Write(message);
}

void FakeStageServer::Report(StageStatus::Phase phase,
                             const std::string& error) {
  StageMessage message;
  message.mutable_status()->set_job_id(desired_.job_id());
  message.mutable_status()->set_phase(phase);
  message.mutable_status()->set_error(error);
  if (phase == StageStatus::LOADED) {
    message.mutable_status()->mutable_data_address()->set_host_identity("host");
  }
  Send(std::move(message));
  if (phase == StageStatus::IDLE) desired_.Clear();
}

void FakeStageServer::ReportStep(int64_t step) {
  StageMessage message;
  message.mutable_steps()->set_job_id(desired_.job_id());
  StepReport* report = message.mutable_steps()->add_reports();
  report->set_step(step);
  report->set_loss(5.0 / static_cast<double>(step));
  report->set_tokens(128);
  report->set_step_nanos(1'000'000);
  report->set_busy_nanos(900'000);
  Send(std::move(message));
}

void FakeStageServer::ReportLog(int64_t sequence, const std::string& text) {
  StageMessage message;
  message.mutable_logs()->set_job_id(desired_.job_id());
  LogEntry* entry = message.mutable_logs()->add_entries();
  entry->set_sequence(sequence);
  entry->set_text(text);
  Send(std::move(message));
}

// Every layer by the stage that has it; the loss, which owns nothing, too.
void FakeStageServer::ReportFinished() {
  StageMessage message;
  Finished* finished = message.mutable_finished();
  finished->set_job_id(desired_.job_id());
  finished->set_step(desired_.plan().job().steps());
  int index = 0;
  for (int stage = 0; stage < desired_.plan().stages_size(); ++stage) {
    for (const std::string& name : desired_.plan().stages(stage).layers()) {
      if (stage == desired_.rank()) {
        LayerDigest* layer = finished->add_layers();
        layer->set_layer(index);
        layer->set_name(name);
        layer->set_sha256(Sha256Of(name));
      }
      ++index;
    }
  }
  Send(std::move(message));
}

}  // namespace penstock
