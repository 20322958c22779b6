#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/graph/kind_rows.h"
#include "models/graph/kind_rules.h"

namespace penstock {
namespace {

// [batch, channels, height, width]
constexpr size_t kChannels = 1;
constexpr size_t kHeight = 2;
constexpr size_t kWidth = 3;

// Its square is a count, so a weight's elements stay inside 64 bits.
constexpr int64_t kMaxKernel = 1024;

// The output of a window that moves over height and width.
absl::StatusOr<TensorShape> Windowed(const LayerSpec& layer,
                                     const TensorShape& input,
                                     int64_t channels) {
  TensorShape output = input;
  const int64_t kernel = CountAttribute(layer, "kernel");
  const int64_t stride = CountAttribute(layer, "stride");
  const int64_t padding = CountAttribute(layer, "padding");
  for (const size_t side : {kHeight, kWidth}) {
    const int64_t padded = input.shape[side] + 2 * padding;
    if (kernel > padded) {
      return absl::InvalidArgumentError(
          absl::StrCat("its kernel of ", kernel, " does not fit into ",
                       ShapeText(input.shape), " with padding ", padding));
    }
    output.shape[side] = (padded - kernel) / stride + 1;
  }
  output.shape[kChannels] = channels;
  return output;
}

// He et al. 2015, section 2.2: the deviation that keeps a rectified signal's
// size.
absl::StatusOr<Parameters> ConvolutionParameters(const LayerSpec& layer) {
  const int64_t in = CountAttribute(layer, "in");
  const int64_t out = CountAttribute(layer, "out");
  const int64_t kernel = CountAttribute(layer, "kernel");
  const int64_t groups = CountAttribute(layer, "groups");
  if (in % groups != 0 || out % groups != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer \"", layer.name, "\": groups ", groups,
                     " does not divide in ", in, " and out ", out));
  }
  if (kernel > kMaxKernel) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer \"", layer.name, "\": kernel is ", kernel,
                     ", want at most ", kMaxKernel));
  }
  const double fan_in = static_cast<double>(in / groups) *
                        static_cast<double>(kernel) *
                        static_cast<double>(kernel);
  Parameters parameters = {{.name = absl::StrCat(layer.name, ".weight"),
                            .shape = {out, in / groups, kernel, kernel},
                            .init = InitKind::kNormal,
                            .init_scale = std::sqrt(2.0 / fan_in),
                            .decay = true}};
  if (CountAttribute(layer, "bias") != 0) {
    parameters.push_back(Vector(layer, "bias", out, InitKind::kZeros));
  }
  return parameters;
}

absl::StatusOr<TensorShape> ConvolutionOutput(const LayerSpec& layer,
                                              Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantImages(inputs[0], CountAttribute(layer, "in")));
  return Windowed(layer, inputs[0], CountAttribute(layer, "out"));
}

absl::StatusOr<Parameters> BatchNormParameters(const LayerSpec& layer) {
  const int64_t channels = CountAttribute(layer, "channels");
  return Parameters{Vector(layer, "weight", channels, InitKind::kOnes),
                    Vector(layer, "bias", channels, InitKind::kZeros)};
}

Parameters BatchNormStatistics(const LayerSpec& layer) {
  const int64_t channels = CountAttribute(layer, "channels");
  return {Vector(layer, "mean", channels, InitKind::kZeros),
          Vector(layer, "variance", channels, InitKind::kOnes)};
}

absl::StatusOr<TensorShape> BatchNormOutput(const LayerSpec& layer,
                                            Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(
      WantImages(inputs[0], CountAttribute(layer, "channels")));
  const std::vector<int64_t>& shape = inputs[0].shape;
  if (shape[0] * shape[kHeight] * shape[kWidth] < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("wants at least two values of a channel in a microbatch, "
                     "got one, in ",
                     ShapeText(shape), "; give it more samples"));
  }
  return inputs[0];
}

absl::StatusOr<TensorShape> PoolOutput(const LayerSpec& layer, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantImages(inputs[0], 0));
  const int64_t kernel = CountAttribute(layer, "kernel");
  const int64_t padding = CountAttribute(layer, "padding");
  if (2 * padding > kernel) {
    return absl::InvalidArgumentError(absl::StrCat(
        "padding ", padding, " is more than half of its kernel of ", kernel));
  }
  return Windowed(layer, inputs[0], inputs[0].shape[kChannels]);
}

absl::StatusOr<TensorShape> GlobalPoolOutput(const LayerSpec&, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantImages(inputs[0], 0));
  TensorShape output = inputs[0];
  output.shape.resize(2);
  return output;
}

absl::StatusOr<TensorShape> UpsampleOutput(const LayerSpec& layer,
                                           Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantImages(inputs[0], 0));
  TensorShape output = inputs[0];
  for (const size_t side : {kHeight, kWidth}) {
    output.shape[side] *= CountAttribute(layer, "factor");
    if (output.shape[side] > kMaxCount) {
      return absl::InvalidArgumentError(
          absl::StrCat("would make ", ShapeText(output.shape),
                       ", want sizes up to ", kMaxCount));
    }
  }
  return output;
}

absl::Status WantBatch(const TensorShape& input) {
  PENSTOCK_RETURN_IF_ERROR(WantActivations(input));
  if (!input.shape.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("wants activations [batch, ...], got ", TensorText(input)));
}

absl::StatusOr<TensorShape> FlattenOutput(const LayerSpec&, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantBatch(inputs[0]));
  int64_t size = 1;
  for (size_t i = 1; i < inputs[0].shape.size(); ++i) {
    size *= inputs[0].shape[i];
    if (size > kMaxCount) {
      return absl::InvalidArgumentError(
          absl::StrCat("would make more than ", kMaxCount,
                       " numbers a sample of ", ShapeText(inputs[0].shape)));
    }
  }
  return TensorShape{ElementType::kActivation, {inputs[0].shape[0], size}};
}

absl::StatusOr<TensorShape> CopyOutput(const LayerSpec&, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantActivations(inputs[0]));
  return inputs[0];
}

absl::StatusOr<TensorShape> AddOutput(const LayerSpec&, Inputs inputs) {
  for (const TensorShape& input : inputs) {
    PENSTOCK_RETURN_IF_ERROR(WantActivations(input));
    if (input.shape == inputs[0].shape) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "wants inputs of one shape, got ", ShapeText(inputs[0].shape), " and ",
        ShapeText(input.shape)));
  }
  return inputs[0];
}

// Along the channels of images, else along the last dimension.
absl::StatusOr<TensorShape> ConcatOutput(const LayerSpec&, Inputs inputs) {
  PENSTOCK_RETURN_IF_ERROR(WantBatch(inputs[0]));
  TensorShape output = inputs[0];
  const size_t rank = output.shape.size();
  const size_t joined = rank == 4 ? kChannels : rank - 1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    PENSTOCK_RETURN_IF_ERROR(WantActivations(inputs[i]));
    std::vector<int64_t> like = inputs[i].shape;
    if (rank < 2 || like.size() != rank) like.clear();
    if (!like.empty()) like[joined] = inputs[0].shape[joined];
    if (like != inputs[0].shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          "wants inputs that differ only in ",
          rank == 4 ? "their channels" : "their last size", ", got ",
          ShapeText(inputs[0].shape), " and ", ShapeText(inputs[i].shape)));
    }
    if (i > 0) output.shape[joined] += inputs[i].shape[joined];
  }
  return output;
}

}  // namespace

std::vector<KindRow> VisionKinds() {
  constexpr AttributeKind kCount = AttributeKind::kCount;
  const std::vector<AttributeRow> window = {
      {"kernel", kCount},
      {"stride", kCount},
      {"padding", AttributeKind::kAmount}};
  std::vector<AttributeRow> convolution = window;
  for (const AttributeRow row :
       {AttributeRow{"in", kCount}, AttributeRow{"out", kCount},
        AttributeRow{"groups", kCount},
        AttributeRow{"bias", AttributeKind::kFlag}}) {
    convolution.push_back(row);
  }
  const auto view = [](const char* name, auto output) {
    return KindRow{.name = name,
                   .parameters = NoParameters,
                   .output = output,
                   .kept = KeptByView};
  };
  const auto joining = [](const char* name, auto output) {
    return KindRow{.name = name,
                   .num_inputs = 2,
                   .takes_more = true,
                   .parameters = NoParameters,
                   .output = output};
  };
  return {
      {.name = "convolution",
       .attributes = std::move(convolution),
       .parameters = ConvolutionParameters,
       .output = ConvolutionOutput,
       .kept = KeptByProduct,
       .flops = FlopsOfConvolution},
      {.name = "batch_norm",
       .attributes = {{"channels", kCount},
                      {"momentum", AttributeKind::kProbability}},
       .splits_backward = false,
       .parameters = BatchNormParameters,
       .output = BatchNormOutput,
       .statistics = BatchNormStatistics,
       .kept = KeptByBatchNorm},
      {.name = "max_pool",
       .attributes = window,
       .parameters = NoParameters,
       .output = PoolOutput,
       .kept = KeptByMaxPool},
      {.name = "average_pool",
       .attributes = window,
       .parameters = NoParameters,
       .output = PoolOutput,
       .kept = KeptByAveragePool},
      {.name = "global_average_pool",
       .parameters = NoParameters,
       .output = GlobalPoolOutput},
      {.name = "upsample",
       .attributes = {{"factor", kCount}},
       .parameters = NoParameters,
       .output = UpsampleOutput},
      view("flatten", FlattenOutput),
      view("copy", CopyOutput),
      joining("add", AddOutput),
      joining("concat", ConcatOutput),
  };
}

}  // namespace penstock
