#ifndef PENSTOCK_MODELS_GRAPH_KIND_RULES_H_
#define PENSTOCK_MODELS_GRAPH_KIND_RULES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/graph/graph.h"

namespace penstock {

// What the rows of the kind table are written with. Errors are without the
// layer's name unless it says otherwise.

using Parameters = std::vector<ParameterSpec>;
using Inputs = absl::Span<const TensorShape>;

// GPT-2's (Radford et al. 2019, section 2.3).
inline constexpr double kInitDeviation = 0.02;

// Normally distributed, subject to weight decay.
ParameterSpec Matrix(const LayerSpec& layer, absl::string_view name,
                     int64_t rows, int64_t columns,
                     double deviation = kInitDeviation);

// Uniformly distributed in 1/sqrt(`columns`), which keeps a deep stack's signal
// in range; subject to weight decay.
ParameterSpec UniformMatrix(const LayerSpec& layer, absl::string_view name,
                            int64_t rows, int64_t columns);

// GPT-2's, of the projections that end in the residual stream: scaled by
// 1/sqrt(number of residual branches); each block of the "depth" has two.
double ResidualDeviation(const LayerSpec& layer);

ParameterSpec Vector(const LayerSpec& layer, absl::string_view name,
                     int64_t size, InitKind init);

absl::StatusOr<Parameters> NoParameters(const LayerSpec&);

absl::Status WantActivations(const TensorShape& input);
// [..., last_size]
absl::Status WantActivation(const TensorShape& input, int64_t last_size);
// [batch, sequence, hidden]
absl::Status WantSequence(const TensorShape& input, int64_t hidden);
// [batch, channels, height, width]; 0 for any number of channels.
absl::Status WantImages(const TensorShape& input, int64_t channels);
// "hidden" is a multiple of "heads"; names the layer.
absl::Status WantEqualHeads(const LayerSpec& layer);
// The input, which is [..., "hidden"].
absl::StatusOr<TensorShape> SameAsHiddenInput(const LayerSpec& layer,
                                              Inputs inputs);
// The input, which is [batch, sequence, "hidden"].
absl::StatusOr<TensorShape> SameAsSequenceInput(const LayerSpec& layer,
                                                Inputs inputs);
// int64 [batch, sequence], below the layer's "vocabulary" where it has one.
absl::Status WantTokens(const LayerSpec& layer, const TensorShape& input);

TensorShape WithLastSize(TensorShape shape, int64_t last_size);

// "[8, 64, 128]", "int64 [8, 64]"
std::string TensorText(const TensorShape& tensor);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_GRAPH_KIND_RULES_H_
