#ifndef PENSTOCK_COORDINATOR_CORE_STAGE_ACCOUNT_H_
#define PENSTOCK_COORDINATOR_CORE_STAGE_ACCOUNT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/graph/graph.h"
#include "models/graph/kept_tensors.h"
#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// A tensor of one microbatch, as memory that several may hold on to. Which
// number is which is the account's to know.
struct HeldTensor {
  int id = 0;
  int64_t bytes = 0;
};

// What a stage holds of one piece of a microbatch.
struct StageAccount {
  // Incoming activation edges, and what came over each.
  std::vector<EdgeId> in_edges;
  std::vector<HeldTensor> inputs;
  // Outgoing ones, and what leaves over each.
  std::vector<EdgeId> out_edges;
  std::vector<HeldTensor> outputs;
  // What it reads of the data.
  std::vector<HeldTensor> data;

  // From a forward that records until I, each once, and from there until W.
  std::vector<HeldTensor> until_input_gradient;
  std::vector<HeldTensor> until_weight_gradient;
  // The same of what is the stage's alone, in bytes.
  int64_t own_until_input_gradient = 0;
  int64_t own_until_weight_gradient = 0;
  // Gradients, from I until W.
  int64_t gradients_until_weight_gradient = 0;

  // What a W that is put off holds in all.
  int64_t weight_queue_bytes() const;
};

// The stages of a plan with what each holds. Pure.
class StageAccounts {
 public:
  static absl::StatusOr<StageAccounts> Make(const Plan& plan,
                                            const Schedule& schedule,
                                            const Graph& graph);

  // `came`: for each incoming edge, in order, whether its value came as a
  // message; else it is the memory of the stage that made it, on the same rank.
  // `again`: a recompute made what the stage keeps.
  const StageAccount& Of(StageId stage, const std::vector<bool>& came,
                         bool again);

  // Incoming activation edges of a stage, by number.
  const std::vector<EdgeId>& InEdges(StageId stage) const {
    return in_edges_[stage.value()];
  }

  // The value of an activation edge as a message, and its gradient; 0 bytes
  // where it has none. Of a piece.
  HeldTensor Received(EdgeId edge) const;
  HeldTensor Gradient(EdgeId edge) const;

  int pieces() const { return pieces_; }

 private:
  struct Key {
    int stage = 0;
    std::vector<bool> came;
    bool again = false;

    friend auto operator<=>(const Key&, const Key&) = default;
  };

  StageAccount MakeAccount(const Key& key) const;
  HeldTensor Resolve(const Key& key, const std::string& name) const;
  // The output of a layer of the stage that `key` is about, or of another.
  HeldTensor OutputOf(const Key& key, int layer) const;
  int num_layers() const { return static_cast<int>(graph_.layers.size()); }
  int num_edges() const { return static_cast<int>(edges_.size()); }

  Graph graph_;
  std::vector<Edge> edges_;
  std::map<std::string, TensorShape> shapes_;
  std::map<std::string, int> layer_of_name_;
  // By layer.
  std::vector<int> stage_of_;
  std::vector<KeptTensors> kept_;
  // By stage.
  std::vector<std::vector<EdgeId>> in_edges_;
  std::vector<std::vector<EdgeId>> out_edges_;
  int activation_bytes_ = 4;
  int pieces_ = 1;
  std::map<Key, StageAccount> made_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_STAGE_ACCOUNT_H_
