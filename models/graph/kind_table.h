#ifndef PENSTOCK_MODELS_GRAPH_KIND_TABLE_H_
#define PENSTOCK_MODELS_GRAPH_KIND_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/graph/flops.h"
#include "models/graph/graph.h"
#include "models/graph/kept_tensors.h"

namespace penstock {

// What an attribute's number may be.
enum class AttributeKind {
  kCount,        // an integer in 1..kMaxCount
  kAmount,       // an integer in 0..kMaxCount
  kFlag,         // 0 or 1
  kProbability,  // in [0, 1)
  kPositive,     // finite, above 0
};

// Keeps every product of three counts inside 64 bits.
inline constexpr int64_t kMaxCount = 1 << 20;

struct AttributeRow {
  const char* name;
  AttributeKind kind;
};

// One kind of layer. The functions may take for granted what
// `CheckAttributes` and `num_inputs` check.
struct KindRow {
  const char* name;
  // All required.
  std::vector<AttributeRow> attributes;
  int num_inputs = 1;
  // Whether it takes any number of inputs from `num_inputs` on.
  bool takes_more = false;
  bool is_loss = false;
  // Whether `LayerSpec::tied_to` may be set.
  bool may_be_tied = false;
  // Whether its weights' gradients can be left for W; else I makes them too
  // (models/layers/split_ops.h).
  bool splits_backward = true;
  absl::StatusOr<std::vector<ParameterSpec>> (*parameters)(const LayerSpec&);
  // Error messages are without the layer's name.
  absl::StatusOr<TensorShape> (*output)(const LayerSpec&,
                                        absl::Span<const TensorShape> inputs);
  // Null for the many kinds that keep none.
  std::vector<ParameterSpec> (*statistics)(const LayerSpec&) = nullptr;
  // What it keeps for its backward; null for nothing.
  KeptTensors (*kept)(const KeptRequest&) = nullptr;
  // What its products take; null for none.
  LayerFlops (*flops)(const FlopsRequest&) = nullptr;
};

// nullptr when there is no such kind.
const KindRow* FindKind(absl::string_view kind);

// The names of all kinds, for messages.
std::vector<std::string> KindNames();

// `layer` has exactly the attributes of `kind`, each with a value that it may
// have. INVALID_ARGUMENT, naming the layer, if not.
absl::Status CheckAttributes(const KindRow& kind, const LayerSpec& layer);

// Requires: the attribute is a kCount, kAmount or kFlag that was checked.
int64_t CountAttribute(const LayerSpec& layer, const std::string& name);

// "[8, 64, 128]"
std::string ShapeText(const std::vector<int64_t>& shape);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_KIND_TABLE_H_
