// Trains a job file's job with the plain loop of tests/parity, which sums in
// the order of the job's plan and reads the weight versions that its rules
// name, and prints what a pipelined run of it must give, to the bit
// (training_json.h).
//
//   train_in_one_loop JOB.yaml

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "client/job_file/job_file.h"
#include "coordinator/core/plan_builder.h"
#include "models/zoo/zoo.h"
#include "tests/parity/real_process/training_json.h"
#include "tests/parity/reference_loop.h"
#include "tests/parity/summation_order.h"

namespace penstock {
namespace {

// As docs/job_file.md defines it.
std::string WeightsDigest(const std::vector<std::string>& layer_digests) {
  Sha256 all;
  for (const std::string& digest : layer_digests) {
    all.Update(digest.data(), digest.size());
  }
  return absl::BytesToHexString(all.Finish());
}

std::vector<VersionedStage> RulesOf(const Plan& plan) {
  return RulesOf(plan, [&](int stage) {
    const wire::VersionRule& rule = plan.schedule().versions(stage);
    return VersionedStage{
        {},
        rule.microbatches_per_update(),
        rule.delay(),
        plan.schedule().placement(stage).ranks_size(),
        static_cast<double>(rule.microbatches_per_update()) /
            plan.schedule().versions(0).microbatches_per_update()};
  });
}

absl::StatusOr<TrainingRecord> TrainPlan(const Plan& plan) {
  const int num_steps = static_cast<int>(plan.job().steps());
  if (plan.job().weights().policy() != "flush") {
    return ReplayVersions(plan.job(), num_steps, RulesOf(plan));
  }
  return TrainInOneLoop(JobByPiece(plan), num_steps, OrderOf(plan));
}

absl::StatusOr<std::string> Train(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const Job job,
                            LoadJobFile(path, "/", {}, Presets()));
  PENSTOCK_ASSIGN_OR_RETURN(const BuiltPlan built, BuildPlan(job));
  PENSTOCK_ASSIGN_OR_RETURN(const TrainingRecord record, TrainPlan(built.plan));
  return TrainingJson(record.losses, record.gradient_norms,
                      WeightsDigest(record.layer_digests));
}

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: train_in_one_loop JOB.yaml\n", stderr);
    return 2;
  }
  const absl::StatusOr<std::string> json = Train(argv[1]);
  if (!json.ok()) {
    std::fprintf(stderr, "train_in_one_loop: %s\n",
                 json.status().ToString().c_str());
    return 1;
  }
  std::puts(json->c_str());
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) { return penstock::Main(argc, argv); }
