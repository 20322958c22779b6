#ifndef PENSTOCK_CLIENT_RENDER_PROGRESS_LINE_H_
#define PENSTOCK_CLIENT_RENDER_PROGRESS_LINE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// How far a job is, for one line.
struct ProgressSnapshot {
  std::string name;
  int64_t steps = 0;  // of the whole job
  ProgressRecord record;
  // Negative when there is nothing to estimate from.
  double eta_seconds = -1;
};

// The live line: name, step, bar, loss, tokens/s, step time, bubble, ETA, at
// most `columns` characters. What fits worst goes first: the bar shrinks, then
// goes, then the end is cut. Pure.
std::string LiveLine(const ProgressSnapshot& progress, int columns);

// The same for a log: a line of "what value" pairs, no bar, no control
// characters. Pure.
std::string PlainLine(const ProgressSnapshot& progress);

// "[######----]" of `width` characters for 0 <= fraction <= 1. Pure.
std::string Bar(double fraction, int width);

// When a log should show a step, so that a fast or long job does not flood it:
// the first, the last, those evaluated, and else one in `interval_seconds` of
// the job's time, or in a fiftieth of the time so far when that is longer.
class LineThinner {
 public:
  explicit LineThinner(double interval_seconds = 1)
      : interval_seconds_(interval_seconds) {}
  bool Shows(const ProgressRecord& record, int64_t steps);

 private:
  const double interval_seconds_;
  int64_t first_unix_nanos_ = 0;
  int64_t shown_unix_nanos_ = 0;
};

// Time left by the mean of the steps seen, the newest weighing most
// (exponential mean over about 20 steps).
class EtaEstimate {
 public:
  // Seconds left after `record`; negative while unknown, and at the end.
  double Update(const ProgressRecord& record, int64_t steps);

 private:
  double mean_step_seconds_ = 0;
  int64_t seen_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_PROGRESS_LINE_H_
