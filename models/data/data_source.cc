#include "models/data/data_source.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "models/data/captions.h"
#include "models/data/sampler.h"
#include "models/data/synthetic_images.h"
#include "models/data/token_data.h"
#include "models/data/toy_language.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/torch_status.h"

namespace penstock {
namespace {

// Samples of data that is made up: an epoch.
constexpr int64_t kNumSamples = 4096;

absl::Status Unfit(const Graph& graph, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("data: model ", graph.name, " ", why));
}

class TokenSource : public DataSource {
 public:
  static absl::StatusOr<std::unique_ptr<DataSource>> Open(
      const Graph& graph, const DataRequest& request) {
    for (const auto& [name, shape] : graph.inputs) {
      if (name == "tokens" || name == "labels") continue;
      return Unfit(graph, absl::StrCat("reads \"", name,
                                       "\"; tokens give tokens and labels"));
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        TokenData data,
        TokenData::Open(
            {.path = request.token_path,
             .vocabulary = VocabularyOf(graph),
             .sequence_length = graph.inputs.begin()->second.shape.at(1),
             .batch_size = request.batch_size,
             .microbatch_size = graph.microbatch_size,
             .seed = request.seed,
             .step_lengths = request.step_lengths}));
    return std::unique_ptr<DataSource>(new TokenSource(std::move(data)));
  }

  absl::StatusOr<at::Tensor> Read(absl::string_view input, int64_t step,
                                  int64_t microbatch) const override {
    return input == "tokens" ? data_.Tokens(step, microbatch)
                             : data_.Labels(step, microbatch);
  }

 private:
  explicit TokenSource(TokenData data) : data_(std::move(data)) {}

  const TokenData data_;
};

// Writes an input of one sample.
using IntegerRow = std::function<void(int64_t sample, absl::Span<int64_t>)>;
using FloatRow = std::function<void(int64_t sample, absl::Span<float>)>;

// What a made-up data set gives, by name.
struct Rows {
  std::map<std::string, IntegerRow> integers;
  std::map<std::string, FloatRow> floats;
};

// Inputs that are written sample by sample.
class RowSource : public DataSource {
 public:
  static absl::StatusOr<std::unique_ptr<DataSource>> Make(
      const Graph& graph, const DataRequest& request, Rows rows) {
    if (request.batch_size < 1 ||
        request.batch_size % graph.microbatch_size != 0) {
      return Unfit(graph,
                   absl::StrCat("has microbatches of ", graph.microbatch_size,
                                " samples, which do not make a batch "
                                "of ",
                                request.batch_size));
    }
    std::vector<std::string> names;
    for (const auto& [name, row] : rows.integers) names.push_back(name);
    for (const auto& [name, row] : rows.floats) names.push_back(name);
    for (const auto& [name, shape] : graph.inputs) {
      const bool is_given = shape.element_type == ElementType::kInt64
                                ? rows.integers.count(name) > 0
                                : rows.floats.count(name) > 0;
      if (is_given) continue;
      return Unfit(graph,
                   absl::StrCat("reads \"", name, "\"; ", graph.data_kind,
                                " give ", absl::StrJoin(names, ", ")));
    }
    return std::unique_ptr<DataSource>(
        new RowSource(graph, request, std::move(rows)));
  }

  absl::StatusOr<at::Tensor> Read(absl::string_view input, int64_t step,
                                  int64_t microbatch) const override {
    const std::string name(input);
    const std::vector<int64_t>& shape = inputs_.at(name).shape;
    const auto fill = [&](auto* row, int64_t size, const auto& write) {
      for (int64_t i = 0; i < shape[0]; ++i) {
        const int64_t sample =
            sampler_.Sequence(step, microbatch * shape[0] + i);
        write(sample,
              absl::MakeSpan(row + i * size, static_cast<size_t>(size)));
      }
    };
    return CatchTorch(absl::StrCat("data \"", name, "\""), [&] {
      const auto integers = rows_.integers.find(name);
      const bool is_integer = integers != rows_.integers.end();
      at::Tensor out = at::empty(shape, is_integer ? at::kLong : at::kFloat);
      const int64_t size = out.numel() / shape[0];
      if (is_integer) {
        fill(out.mutable_data_ptr<int64_t>(), size, integers->second);
        return out;
      }
      fill(out.mutable_data_ptr<float>(), size, rows_.floats.at(name));
      return out.to(activation_type_);
    });
  }

 private:
  RowSource(const Graph& graph, const DataRequest& request, Rows rows)
      : inputs_(graph.inputs),
        activation_type_(request.activation_type),
        rows_(std::move(rows)),
        sampler_(request.seed, kNumSamples, request.batch_size) {}

  const std::map<std::string, TensorShape> inputs_;
  const at::ScalarType activation_type_;
  const Rows rows_;
  const Sampler sampler_;
};

// The shape of the graph's images, without its classes.
absl::StatusOr<SyntheticImages::Shape> ImageShape(const Graph& graph) {
  const auto images = graph.inputs.find("images");
  if (images == graph.inputs.end() || images->second.shape.size() != 4) {
    return Unfit(graph, "reads no images [batch, channels, height, width]");
  }
  const std::vector<int64_t>& shape = images->second.shape;
  return SyntheticImages::Shape{
      .channels = shape[1], .height = shape[2], .width = shape[3]};
}

// What the labels, or the masks, or both count; 0 for neither.
int64_t ImageClasses(const Graph& graph) {
  if (const auto labels = graph.inputs.find("labels");
      labels != graph.inputs.end()) {
    return labels->second.limit;
  }
  const auto masks = graph.inputs.find("masks");
  return masks == graph.inputs.end() ? 0 : masks->second.limit - 1;
}

absl::StatusOr<Rows> ImageRows(const Graph& graph, uint64_t seed) {
  PENSTOCK_ASSIGN_OR_RETURN(SyntheticImages::Shape shape, ImageShape(graph));
  shape.classes = ImageClasses(graph);
  if (shape.classes < 1) {
    return Unfit(graph,
                 "says neither in labels nor in masks how many classes "
                 "of images there are");
  }
  const auto masks = graph.inputs.find("masks");
  if (masks != graph.inputs.end() &&
      masks->second.shape != std::vector<int64_t>{graph.microbatch_size,
                                                  shape.height, shape.width}) {
    return Unfit(graph, "reads masks of another size than its images");
  }
  const SyntheticImages images(seed, shape);
  Rows rows;
  rows.floats["images"] = [images](int64_t sample, absl::Span<float> out) {
    images.Pixels(sample, out);
  };
  rows.integers["labels"] = [images](int64_t sample, absl::Span<int64_t> out) {
    std::fill(out.begin(), out.end(), images.ContentOf(sample).image_class);
  };
  rows.integers["masks"] = [images](int64_t sample, absl::Span<int64_t> out) {
    images.Mask(sample, out);
  };
  return rows;
}

absl::StatusOr<Rows> PairRows(const Graph& graph, uint64_t seed) {
  PENSTOCK_ASSIGN_OR_RETURN(SyntheticImages::Shape shape, ImageShape(graph));
  const auto captions = graph.inputs.find("captions");
  if (captions == graph.inputs.end()) return Unfit(graph, "reads no captions");
  shape.classes = CaptionClasses(captions->second.limit);
  if (shape.classes < 1 || captions->second.shape.size() != 2 ||
      captions->second.shape[1] < kCaptionWords) {
    return Unfit(graph,
                 absl::StrCat("reads captions ",
                              absl::StrJoin(captions->second.shape, " x "),
                              " of a vocabulary of ", captions->second.limit,
                              "; want at least ", kCaptionWords,
                              " words, and a vocabulary of at least ",
                              1 - CaptionClasses(0)));
  }
  const SyntheticImages images(seed, shape);
  Rows rows;
  rows.floats["images"] = [images](int64_t sample, absl::Span<float> out) {
    images.Pixels(sample, out);
  };
  rows.integers["captions"] = [images](int64_t sample,
                                       absl::Span<int64_t> out) {
    WriteCaption(images, sample, out);
  };
  return rows;
}

absl::StatusOr<Rows> TranslationRows(const Graph& graph, uint64_t seed) {
  const auto source = graph.inputs.find("source");
  if (source == graph.inputs.end() || source->second.shape.size() != 2 ||
      source->second.limit <= ToyLanguage::kFirstWord) {
    return Unfit(graph,
                 absl::StrCat("reads no source of a vocabulary of more than ",
                              ToyLanguage::kFirstWord));
  }
  for (const auto& [name, input] : graph.inputs) {
    if (input.shape == source->second.shape) continue;
    return Unfit(graph, absl::StrCat("reads \"", name,
                                     "\" in another shape than its source"));
  }
  const ToyLanguage language(seed, source->second.limit,
                             source->second.shape[1]);
  Rows rows;
  rows.integers["source"] = [language](int64_t sample,
                                       absl::Span<int64_t> out) {
    language.Source(sample, out);
  };
  rows.integers["target"] = [language](int64_t sample,
                                       absl::Span<int64_t> out) {
    language.Target(sample, out);
  };
  rows.integers["labels"] = [language](int64_t sample,
                                       absl::Span<int64_t> out) {
    language.Labels(sample, out);
  };
  return rows;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataSource>> DataSource::Open(
    const Graph& graph, const DataRequest& request) {
  if (graph.data_kind == "tokens") return TokenSource::Open(graph, request);
  if (!request.step_lengths.empty()) {
    return Unfit(graph, absl::StrCat("reads ", graph.data_kind,
                                     "; only tokens have steps of several "
                                     "lengths"));
  }
  absl::StatusOr<Rows> rows =
      Unfit(graph, absl::StrCat("reads data of kind \"", graph.data_kind,
                                "\"; there are tokens, images, pairs and "
                                "translation"));
  if (graph.data_kind == "images") rows = ImageRows(graph, request.seed);
  if (graph.data_kind == "pairs") rows = PairRows(graph, request.seed);
  if (graph.data_kind == "translation") {
    rows = TranslationRows(graph, request.seed);
  }
  PENSTOCK_RETURN_IF_ERROR(rows.status());
  return RowSource::Make(graph, request, *std::move(rows));
}

}  // namespace penstock
