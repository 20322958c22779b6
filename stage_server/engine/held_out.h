#ifndef PENSTOCK_STAGE_SERVER_ENGINE_HELD_OUT_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_HELD_OUT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/data/data_source.h"
#include "stage_server/engine/rank_plan.h"

namespace penstock {

// What one rank evaluates on: the job's held-out microbatches (EvaluationSpec),
// the same ones each time, in the pieces of its training, and their losses.
// Used by one thread.
class HeldOut {
 public:
  // `reads`: whether a layer of the rank reads data.
  //   INVALID_ARGUMENT  fewer than one microbatch; no token file, and the job
  //                     does not make its data by itself.
  //   else              as DataSource::Open.
  static absl::StatusOr<HeldOut> Open(const RankPlan& plan,
                                      at::ScalarType activation_type,
                                      bool reads);

  // Requires: the rank reads data.
  absl::StatusOr<at::Tensor> Read(const std::string& input, int piece) const;

  // Forgets all losses.
  void Begin();
  void Record(int piece, float loss) { losses_[piece] = loss; }
  // By piece, those computed here.
  const std::vector<std::optional<double>>& losses() const { return losses_; }
  // Over all pieces, added in their order.
  double Mean() const;

 private:
  HeldOut() = default;

  int pieces_per_step_ = 1;
  std::unique_ptr<DataSource> data_;
  std::vector<std::optional<double>> losses_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_HELD_OUT_H_
