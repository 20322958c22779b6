#ifndef PENSTOCK_STAGE_SERVER_ENGINE_STEP_LOSSES_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_STEP_LOSSES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace penstock {

// The losses of the microbatches, in pieces, of one step or of several that are
// in flight at once. Used by one thread.
class StepLosses {
 public:
  using Losses = std::vector<std::optional<float>>;

  // A step has so many pieces.
  explicit StepLosses(int num_pieces) : num_pieces_(num_pieces) {}

  // Requires: 0 <= piece < num_pieces.
  void Record(int64_t step, int piece, float loss);

  // By piece; those that have been recorded.
  Losses Of(int64_t step) const;

  // Over all pieces, added in their order in double precision; one that is not
  // there counts 0.
  double Mean(int64_t step) const;

  // What was recorded of earlier steps is not asked for any more.
  void ForgetBefore(int64_t step);

 private:
  int num_pieces_;
  std::map<int64_t, Losses> steps_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_STEP_LOSSES_H_
