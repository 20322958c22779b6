#ifndef PENSTOCK_CHECKPOINT_RETENTION_RETENTION_H_
#define PENSTOCK_CHECKPOINT_RETENTION_RETENTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

// Which committed checkpoints of a job stay. A checkpoint stays for any one
// reason; the newest always does.
struct RetentionPolicy {
  // The newest so many, by step and then epoch. At least 1.
  int keep_last = 1;
  // Those of multiples of so many steps; 0: no such reason.
  int64_t keep_every_steps = 0;
  // The so many with the least loss on held-out data; of equal ones the older.
  int keep_best = 0;
};

struct RetentionCandidate {
  int64_t step = 0;
  int64_t epoch = 0;
  bool pinned = false;
  // Nothing if they were not evaluated. NaN is never among the best.
  std::optional<double> evaluation_loss;
};

struct RetentionVerdict {
  bool keep = false;
  // Why, in one line: "pinned", "among the newest 2", or why not.
  std::string reason;
};

// One verdict for each of `candidates`, in their order, which may be any. Of
// two of one step only the one of the newer epoch can stay by step, loss or
// age; a pin keeps either.
//
// Pure. Requires: `policy.keep_last` >= 1.
std::vector<RetentionVerdict> ApplyRetention(
    const std::vector<RetentionCandidate>& candidates,
    const RetentionPolicy& policy);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_RETENTION_RETENTION_H_
