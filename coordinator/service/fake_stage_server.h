#ifndef PENSTOCK_COORDINATOR_SERVICE_FAKE_STAGE_SERVER_H_
#define PENSTOCK_COORDINATOR_SERVICE_FAKE_STAGE_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/transfer/tls_credentials.h"
#include "grpcpp/grpcpp.h"
#include "proto/stage_service.grpc.pb.h"

namespace penstock {

// A stage server that does what a test tells it, over a real connection: for
// tests of the coordinator. Calls block until the coordinator answers, at most
// for half a minute. One thread.
class FakeStageServer {
 public:
  FakeStageServer(const std::string& address, std::string id,
                  uint64_t incarnation = 1,
                  const std::shared_ptr<const TlsCredentials>& tls = nullptr);
  // Hangs up.
  ~FakeStageServer();

  // Claims to be in `job_`, if it is in one.
  grpc::Status Register(const std::string& build_version);
  // Opens a session with a Hello.
  void Open();
  // Both; the coordinator is of this build.
  void Join();
  // Is the same process as `other`, and in its job.
  void Resume(const FakeStageServer& other);
  // Cuts the connection without a word.
  void Break();
  // How the coordinator ended the session; reads all that comes until then.
  grpc::Status WaitForEnd();

  // Reads until the coordinator wants `goal`; remembers job, epoch and rank.
  // False if the session ends first.
  bool WaitFor(DesiredState::Goal goal);
  // Reads until an ack satisfies `test`.
  bool WaitForAck(const std::function<bool(const Ack&)>& test);

  // About the job that it is in.
  void Report(StageStatus::Phase phase, const std::string& error = "");
  void ReportStep(int64_t step);
  void ReportLog(int64_t sequence, const std::string& text);
  void ReportFinished();
  void Send(StageMessage message);

  const DesiredState& desired() const { return desired_; }
  int64_t term() const { return term_; }

 private:
  bool Read();

  const std::string id_;
  const uint64_t incarnation_;
  const std::unique_ptr<StageControl::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<StageMessage, CoordinatorMessage>>
      stream_;
  CoordinatorMessage message_;
  int64_t term_ = 0;
  int64_t sequence_ = 0;
  // The newest that was not BE_IDLE.
  DesiredState desired_;
  int64_t epoch_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_FAKE_STAGE_SERVER_H_
