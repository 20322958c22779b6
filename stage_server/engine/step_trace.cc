#include "stage_server/engine/step_trace.h"

#include <algorithm>
#include <bit>

namespace penstock {
namespace {

constexpr uint64_t kStepsPerOctave = 16;
constexpr size_t kActionsPerOctave = 16 * 2048;
constexpr size_t kMostActions = 1 << 17;

// `per_octave` is a power of two.
bool IsSampled(int64_t step, uint64_t per_octave) {
  const auto number = static_cast<uint64_t>(step);
  const uint64_t stride =
      std::max<uint64_t>(1, std::bit_floor(number) / per_octave);
  return step > 0 && number % stride == 0;
}

}  // namespace

bool IsSampledStep(int64_t step) { return IsSampled(step, kStepsPerOctave); }

bool IsTracedStep(int64_t step, size_t num_actions) {
  if (num_actions > kMostActions) return false;
  const size_t fitting = kActionsPerOctave / std::max<size_t>(1, num_actions);
  return IsSampled(
      step, std::bit_floor(std::clamp<uint64_t>(fitting, 1, kStepsPerOctave)));
}

StepTrace TraceOf(int64_t step, int64_t start_nanos,
                  const std::vector<ActionRecord>& records) {
  StepTrace trace;
  trace.set_step(step);
  trace.set_start_nanos(start_nanos);
  for (const ActionRecord& record : records) {
    trace.add_issued(record.issue_nanos - start_nanos);
    trace.add_started(record.start_nanos - start_nanos);
    trace.add_ended(record.end_nanos - start_nanos);
  }
  return trace;
}

}  // namespace penstock
