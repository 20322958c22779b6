#include "models/zoo/zoo.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "models/graph/layer_kinds.h"
#include "models/zoo/families.h"

namespace penstock {
namespace {

std::string Missing(absl::string_view what, absl::string_view name,
                    const std::vector<std::string>& candidates) {
  const std::string suggestion = DidYouMean(name, candidates);
  if (!suggestion.empty()) return absl::StrCat(what, suggestion);
  std::string list;
  for (const std::string& candidate : candidates) {
    absl::StrAppend(&list, list.empty() ? "" : ", ", candidate);
  }
  return absl::StrCat(what, "; there are ", list);
}

absl::StatusOr<const PresetInfo*> FindPreset(absl::string_view name) {
  std::vector<std::string> names;
  for (const PresetInfo& preset : Presets()) {
    if (preset.name == name) return &preset;
    names.push_back(preset.name);
  }
  return absl::InvalidArgumentError(
      Missing(absl::StrCat("no model preset \"", name, "\""), name, names));
}

absl::StatusOr<double> ParseNumber(const std::string& name,
                                   const std::string& text) {
  if (name == "tied") {
    if (text == "true") return 1;
    if (text == "false") return 0;
    return absl::InvalidArgumentError(absl::StrCat(
        "model override tied: \"", text, "\" is neither true nor false"));
  }
  double number = 0;
  if (!absl::SimpleAtod(text, &number)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model override ", name, ": \"", text, "\" is not a number"));
  }
  return number;
}

// The largest value of a number that shapes the graph; 0 for those that layers
// check.
double CountLimit(const std::string& name) {
  for (const char* const layers :
       {"layers", "blocks", "levels", "image_layers", "text_layers"}) {
    if (name == layers) return 10000;
  }
  for (const char* const size :
       {"image_size", "channels", "classes", "vocabulary"}) {
    if (name == size) return 1 << 20;
  }
  return 0;
}

absl::StatusOr<Numbers> NumbersOf(const PresetInfo& preset,
                                  const ModelRequest& request) {
  std::map<std::string, std::string> texts = preset.defaults;
  std::vector<std::string> names;
  for (const auto& [name, value] : preset.defaults) names.push_back(name);
  for (const auto& [name, value] : request.overrides) {
    const auto found = texts.find(name);
    if (found == texts.end()) {
      return absl::InvalidArgumentError(
          Missing(absl::StrCat("model ", preset.name, " has no override \"",
                               name, "\""),
                  name, names));
    }
    found->second = value;
  }
  Numbers numbers;
  for (const auto& [name, text] : texts) {
    PENSTOCK_ASSIGN_OR_RETURN(numbers[name], ParseNumber(name, text));
  }
  // What shapes the graph is no attribute of any layer, so it is checked here;
  // the layers check the rest.
  for (const auto& [name, number] : numbers) {
    const double limit = CountLimit(name);
    if (limit == 0 ||
        (number >= 1 && number <= limit && number == std::floor(number))) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "model override ", name, ": \"", texts.at(name),
        "\", want an integer in 1..", static_cast<int64_t>(limit)));
  }
  return numbers;
}

using AddFamily = void (*)(const FamilyArguments&, Graph*);

AddFamily FamilyOf(const std::string& preset) {
  static const auto* const families = new std::map<std::string, AddFamily>{
      {"llama-nano", AddLlama},
      {"mlp", AddMlp},
      {"cnn", AddCnn},
      {"unet", AddUnet},
      {"inception", AddInception},
      {"two-tower", AddTwoTower},
      {"seq2seq", AddSeq2Seq},
  };
  const auto found = families->find(preset);
  return found == families->end() ? AddGpt : found->second;
}

absl::Status CheckData(const PresetInfo& preset, const ModelRequest& request) {
  if (!request.data_kind.empty() && request.data_kind != preset.data_kind) {
    return absl::InvalidArgumentError(
        absl::StrCat("model ", preset.name, " reads data of kind ",
                     preset.data_kind, ", not ", request.data_kind));
  }
  if (preset.data_kind == "images" && request.sequence_length != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model ", preset.name,
                     " reads images, which have no sequence; the "
                     "sequence length is ",
                     request.sequence_length, ", want 1"));
  }
  return absl::OkStatus();
}

std::vector<PresetInfo> LanguagePresets() {
  return {
      {"gpt-nano",
       "GPT over bytes, 0.9 million parameters: trains in a minute",
       {{"layers", "4"},
        {"hidden", "128"},
        {"heads", "4"},
        {"vocabulary", "256"},
        {"positions", "256"},
        {"dropout", "0"},
        {"tied", "false"}},
       64},
      {"gpt-mini",
       "GPT over bytes, 5 million parameters",
       {{"layers", "6"},
        {"hidden", "256"},
        {"heads", "8"},
        {"vocabulary", "256"},
        {"positions", "512"},
        {"dropout", "0.1"},
        {"tied", "false"}},
       128},
      {"gpt2-small",
       "GPT-2 small, 124 million parameters",
       {{"layers", "12"},
        {"hidden", "768"},
        {"heads", "12"},
        {"vocabulary", "50257"},
        {"positions", "1024"},
        {"dropout", "0.1"},
        {"tied", "true"}},
       1024},
      {"llama-nano",
       "Llama's blocks over bytes, 0.8 million parameters",
       {{"layers", "4"},
        {"hidden", "128"},
        {"heads", "4"},
        {"key_heads", "2"},
        {"inner", "336"},
        {"vocabulary", "256"}},
       64},
      {"mlp",
       "feed-forward language model over bytes, 0.3 million parameters",
       {{"layers", "3"},
        {"hidden", "256"},
        {"vocabulary", "256"},
        {"embedding", "32"},
        {"window", "8"}},
       64},
  };
}

std::vector<PresetInfo> PresetsWithoutFiles() {
  return {
      {"cnn",
       "residual network of images with batch norm, 78 thousand parameters",
       {{"blocks", "1"},
        {"width", "16"},
        {"image_size", "16"},
        {"channels", "3"},
        {"classes", "8"}},
       1,
       "images"},
      {"unet",
       "says what each pixel belongs to, 58 thousand parameters",
       {{"levels", "2"},
        {"width", "16"},
        {"image_size", "16"},
        {"channels", "3"},
        {"classes", "4"}},
       1,
       "images"},
      {"inception",
       "blocks of four parallel branches, 6 thousand parameters",
       {{"blocks", "2"},
        {"width", "32"},
        {"image_size", "16"},
        {"channels", "3"},
        {"classes", "8"}},
       1,
       "images"},
      {"two-tower",
       "images and captions, told apart within a microbatch",
       {{"image_layers", "3"},
        {"width", "16"},
        {"image_size", "16"},
        {"channels", "3"},
        {"text_layers", "1"},
        {"hidden", "32"},
        {"heads", "2"},
        {"vocabulary", "23"},
        {"positions", "16"},
        {"embedding", "32"}},
       6,
       "pairs"},
      {"seq2seq",
       "LSTM encoder and decoder with attention, for a toy language",
       {{"layers", "2"},
        {"hidden", "64"},
        {"heads", "1"},
        {"vocabulary", "32"}},
       12,
       "translation"},
  };
}

}  // namespace

const std::vector<PresetInfo>& Presets() {
  static const auto* const presets = [] {
    auto* const all = new std::vector<PresetInfo>(LanguagePresets());
    const std::vector<PresetInfo> others = PresetsWithoutFiles();
    all->insert(all->end(), others.begin(), others.end());
    return all;
  }();
  return *presets;
}

absl::StatusOr<Graph> MakeModel(const ModelRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const PresetInfo* const preset,
                            FindPreset(request.preset));
  PENSTOCK_ASSIGN_OR_RETURN(const Numbers numbers, NumbersOf(*preset, request));
  PENSTOCK_RETURN_IF_ERROR(CheckData(*preset, request));
  Graph graph;
  graph.name = preset->name;
  graph.microbatch_size = request.microbatch_size;
  FamilyOf(preset->name)(
      {numbers, request.microbatch_size, request.sequence_length}, &graph);
  PENSTOCK_RETURN_IF_ERROR(
      WithContext(CheckGraph(graph), absl::StrCat("model ", preset->name)));
  return graph;
}

}  // namespace penstock
