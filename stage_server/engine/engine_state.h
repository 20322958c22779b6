#ifndef PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_STATE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_STATE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "checkpoint/safetensors/header.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// The training state of one rank, as it leaves an engine and comes back into
// one, possibly at another cut: tensors by layer and name, on the host,
// contiguous. Free of libtorch.

struct StateTensor {
  // In the model graph.
  int layer = 0;
  std::string layer_name;
  ShardFile::Kind kind = ShardFile::WEIGHTS;
  // As ShardTensor has it: "h0.attn.qkv.weight/exp_avg".
  std::string name;
  StoredType type = StoredType::kFloat32;
  std::vector<int64_t> shape;

  int64_t size_bytes() const;

  friend bool operator==(const StateTensor&, const StateTensor&) = default;
};

// A rank's state after some step, in memory of its own: of the layers that it
// speaks for (of a stage on several ranks that is the first one).
struct EngineSnapshot {
  struct Entry {
    StateTensor tensor;
    absl::Span<const std::byte> bytes;
  };

  // `stages` are the rank's. `dataset_fingerprint` is empty where the rank
  // reads no data.
  TrainState state;
  // By layer, then kind, then in the layer's order; the bytes of each layer and
  // kind follow each other without a gap.
  std::vector<Entry> tensors;
  int64_t size_bytes = 0;
  // That the rank did not compute for it.
  int64_t blocked_nanos = 0;
  // What `tensors` point into.
  std::shared_ptr<const void> memory;
};

// A tensor that a rank's state consists of, and where it is to be.
struct StateSlot {
  StateTensor tensor;
  absl::Span<std::byte> into;
  // Of a layer that another rank may hold: this rank wants nothing else of it.
  bool is_borrowed = false;
};

// What an engine's state is loaded from instead of initial weights. Used by one
// thread.
class StateSource {
 public:
  virtual ~StateSource() = default;

  // Where training was.
  virtual const TrainState& state() const = 0;

  // Only weights and running statistics are taken, and training begins anew
  // with them.
  virtual bool weights_only() const = 0;
  // The weights were another shape's or policy's: training goes on from the
  // newest version, as after a drain.
  virtual bool other_shape() const = 0;

  // Fills all of `slots`, or not all, with an error. `layer_names` are those of
  // the model's layers.
  //   INVALID_ARGUMENT  the model is another one: layers or tensors that are
  //                     missing, more than there should be, or of another
  //                     shape; names them.
  //   DATA_LOSS         the bytes are not those that were stored; names file
  //                     and tensor.
  virtual absl::Status Fill(absl::Span<const StateSlot> slots,
                            absl::Span<const std::string> layer_names) = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_ENGINE_STATE_H_
