#include "stage_server/engine/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr double kPi = 3.14159265358979323846;

// How much of the way from the base rate to the final one is left: 1 just after
// the warm-up, 0 from the end of the decay on.
double Remaining(const LearningRateSchedule& schedule, int64_t job_steps,
                 int64_t update) {
  const int64_t end =
      schedule.decay_steps() > 0 ? schedule.decay_steps() : job_steps;
  const int64_t length = end - schedule.warmup_steps();
  if (length <= 0 || update >= end) return 0;
  return 1.0 - static_cast<double>(update - schedule.warmup_steps()) /
                   static_cast<double>(length);
}

}  // namespace

double LearningRate(const LearningRateSchedule& schedule, double base,
                    int64_t job_steps, int64_t update) {
  if (update < schedule.warmup_steps()) {
    return base * static_cast<double>(update + 1) /
           static_cast<double>(schedule.warmup_steps());
  }
  const std::string& kind = schedule.kind();
  if (kind == "step") {
    const int64_t drops =
        (update - schedule.warmup_steps()) / schedule.step_size();
    return base * std::pow(schedule.gamma(), static_cast<double>(drops));
  }
  const double last = schedule.final_fraction();
  if (kind == "cosine") {
    const double done = 1.0 - Remaining(schedule, job_steps, update);
    return base * (last + (1.0 - last) * 0.5 * (1.0 + std::cos(kPi * done)));
  }
  if (kind == "polynomial") {
    const double remaining = Remaining(schedule, job_steps, update);
    return base * (last + (1.0 - last) * std::pow(remaining, schedule.power()));
  }
  return base;
}

absl::Status CheckLearningRate(const LearningRateSchedule& schedule) {
  const std::string& kind = schedule.kind();
  if (kind != "constant" && kind != "step" && kind != "cosine" &&
      kind != "polynomial") {
    return absl::InvalidArgumentError(
        absl::StrCat("learning rate schedule \"", kind,
                     "\", want constant, step, cosine or polynomial"));
  }
  if (schedule.warmup_steps() < 0 || schedule.decay_steps() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "learning rate schedule: warmup_steps is ", schedule.warmup_steps(),
        " and decay_steps ", schedule.decay_steps(), ", want at least 0"));
  }
  if (kind == "step" && schedule.step_size() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("learning rate schedule: step_size is ",
                     schedule.step_size(), ", want at least 1"));
  }
  return absl::OkStatus();
}

}  // namespace penstock
