// Prints what a job that has succeeded gave, every step of it
// (training_json.h).
//
//   training_of_job HOST:PORT JOB

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "proto/coordinator_service.grpc.pb.h"
#include "tests/parity/real_process/training_json.h"

namespace penstock {
namespace {

grpc::Status Ask(const std::string& address, const std::string& id,
                 std::string* json) {
  const std::unique_ptr<JobService::Stub> jobs = JobService::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  GetJobRequest get;
  get.set_job(id);
  GetJobResponse job;
  grpc::ClientContext get_context;
  const grpc::Status got = jobs->GetJob(&get_context, get, &job);
  if (!got.ok()) return got;

  StreamProgressRequest stream;
  stream.set_job(id);
  grpc::ClientContext stream_context;
  const std::unique_ptr<grpc::ClientReader<ProgressRecord>> steps =
      jobs->StreamProgress(&stream_context, stream);
  std::vector<double> losses;
  std::vector<double> gradient_norms;
  // Ranks that do not wait for each other have none in common.
  const bool has_norms = job.job().job().weights().policy() == "flush";
  ProgressRecord step;
  while (steps->Read(&step)) {
    losses.push_back(step.loss());
    if (has_norms) gradient_norms.push_back(step.gradient_norm());
  }
  *json = TrainingJson(losses, gradient_norms, job.job().weights_digest());
  return steps->Finish();
}

int Main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: training_of_job HOST:PORT JOB\n", stderr);
    return 2;
  }
  std::string json;
  const grpc::Status status = Ask(argv[1], argv[2], &json);
  if (!status.ok()) {
    std::fprintf(stderr, "training_of_job: %s\n",
                 status.error_message().c_str());
    return 1;
  }
  std::puts(json.c_str());
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) { return penstock::Main(argc, argv); }
