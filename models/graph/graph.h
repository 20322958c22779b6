#ifndef PENSTOCK_MODELS_GRAPH_GRAPH_H_
#define PENSTOCK_MODELS_GRAPH_GRAPH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

// How a parameter starts. Drawn from (seed, parameter name) alone, so it is the
// same at any cut (design: stateless initialisation).
enum class InitKind { kZeros, kOnes, kNormal, kUniform };

struct ParameterSpec {
  // "<layer>.<parameter>", unique in the graph: "h0.attn.qkv.weight".
  std::string name;
  std::vector<int64_t> shape;
  InitKind init = InitKind::kZeros;
  // Standard deviation (kNormal) or bound (kUniform).
  double init_scale = 0;
  // Whether weight decay applies.
  bool decay = false;
  // Name of the parameter that owns the value; empty for an owner. A tied
  // parameter has the owner's shape and a gradient of its own per step, which
  // is added to the owner's in layer order.
  std::string tied_to;

  int64_t num_elements() const;
};

// The element type of a tensor between layers.
enum class ElementType { kActivation, kInt64 };

// A label that does not count in a loss, such as that of padding.
inline constexpr int64_t kIgnoredLabel = -100;

// The token that fills sequences up; attention leaves it out.
inline constexpr int64_t kPaddingToken = 0;

// Per microbatch; the first dimension is the microbatch's samples. kActivation
// is the job's dtype. A loss is a scalar: empty shape, always float32. No
// gradient belongs to kInt64.
struct TensorShape {
  ElementType element_type = ElementType::kActivation;
  std::vector<int64_t> shape;
  // Of kInt64: the values are below this (a label may be `kIgnoredLabel`). 0
  // where nothing is known.
  int64_t limit = 0;
};

// A node of the model: one kind of computation with its numbers.
struct LayerSpec {
  std::string name;
  // A kind of models/graph/layer_kinds.h: "attention", "linear", ...
  std::string kind;
  // Numbers the kind needs: {"hidden", 128}, {"dropout", 0.1}.
  std::map<std::string, double> attributes;
  // Layers or graph inputs whose output it takes, in the kind's order.
  std::vector<std::string> inputs;
  // For kinds that may share their matrix: the parameter of an earlier layer
  // that owns it, "embed.token.weight". Empty: the layer owns its own.
  std::string tied_to;
};

// A DAG of named layers in topological order; the last layer is the loss. No
// layer's output has more than two uses (kind "copy" makes more of one): a sum
// of two gradients is the same in either order, a sum of three is not, and the
// cut decides the order. Holds no tensor and needs no libtorch, so the
// coordinator reads it too.
struct Graph {
  std::string name;
  // Where the inputs come from: "tokens" (a token file), or "images", "pairs"
  // or "translation", which models/data makes by itself.
  std::string data_kind = "tokens";
  // What the data gives, by name: "tokens" and "labels", or "images", ...
  std::map<std::string, TensorShape> inputs;
  // Samples in one microbatch that `inputs` was made for.
  int64_t microbatch_size = 0;
  std::vector<LayerSpec> layers;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_GRAPH_H_
