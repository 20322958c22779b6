#include "models/zoo/zoo.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "models/graph/layer_kinds.h"

namespace penstock {
namespace {

using Attributes = std::map<std::string, double>;

constexpr char kTokens[] = "tokens";
constexpr char kLabels[] = "labels";

// Every overridable value as a number; "tied" is 0 or 1.
using Numbers = std::map<std::string, double>;

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
  // How many layers to make is not an attribute of any layer, so it is checked
  // here; the layers check the rest.
  const double layers = numbers.at("layers");
  if (!(layers >= 1) || layers > 10000 ||
      layers != static_cast<double>(static_cast<int64_t>(layers))) {
    return absl::InvalidArgumentError(
        absl::StrCat("model override layers: \"", texts.at("layers"),
                     "\", want an integer in 1..10000"));
  }
  return numbers;
}

// Appends layers, each taking the one before it.
class Chain {
 public:
  explicit Chain(Graph* graph) : graph_(graph) {}

  LayerSpec& Add(std::string name, std::string kind, Attributes attributes) {
    const std::string input =
        graph_->layers.empty() ? kTokens : graph_->layers.back().name;
    graph_->layers.push_back({.name = std::move(name),
                              .kind = std::move(kind),
                              .attributes = std::move(attributes),
                              .inputs = {input}});
    return graph_->layers.back();
  }

 private:
  Graph* const graph_;
};

// GPT-2's shape (Radford et al. 2019): pre-norm blocks, learned positions.
void AddGpt(const Numbers& numbers, Graph* graph) {
  const double hidden = numbers.at("hidden");
  const double vocabulary = numbers.at("vocabulary");
  const double dropout = numbers.at("dropout");
  const double depth = numbers.at("layers");
  Chain chain(graph);
  chain.Add("embed", "token_embedding",
            {{"vocabulary", vocabulary},
             {"hidden", hidden},
             {"positions", numbers.at("positions")},
             {"dropout", dropout}});
  for (int i = 0; i < static_cast<int>(depth); ++i) {
    chain.Add(absl::StrCat("h", i, ".attn"), "attention",
              {{"hidden", hidden},
               {"heads", numbers.at("heads")},
               {"depth", depth},
               {"dropout", dropout}});
    chain.Add(absl::StrCat("h", i, ".mlp"), "mlp_block",
              {{"hidden", hidden},
               {"inner", 4 * hidden},
               {"depth", depth},
               {"dropout", dropout}});
  }
  chain.Add("final_norm", "layer_norm", {{"hidden", hidden}});
  LayerSpec& head = chain.Add("head", "lm_head",
                              {{"hidden", hidden}, {"vocabulary", vocabulary}});
  if (numbers.at("tied") != 0) head.tied_to = "embed.token.weight";
}

// A feed-forward language model (Bengio et al. 2003): each position sees its
// last `window` tokens.
void AddMlp(const Numbers& numbers, Graph* graph) {
  const double hidden = numbers.at("hidden");
  const double vocabulary = numbers.at("vocabulary");
  const double embedding = numbers.at("embedding");
  const double window = numbers.at("window");
  Chain chain(graph);
  chain.Add(
      "embed", "window_embedding",
      {{"vocabulary", vocabulary}, {"hidden", embedding}, {"window", window}});
  double width = window * embedding;
  for (int i = 0; i < static_cast<int>(numbers.at("layers")); ++i) {
    chain.Add(absl::StrCat("fc", i), "linear",
              {{"in", width}, {"out", hidden}});
    chain.Add(absl::StrCat("relu", i), "relu", {});
    width = hidden;
  }
  chain.Add("head", "linear", {{"in", width}, {"out", vocabulary}});
}

}  // namespace

const std::vector<PresetInfo>& Presets() {
  static const auto* const presets = new std::vector<PresetInfo>{
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
      {"mlp",
       "feed-forward language model over bytes, 0.3 million parameters",
       {{"layers", "3"},
        {"hidden", "256"},
        {"vocabulary", "256"},
        {"embedding", "32"},
        {"window", "8"}},
       64},
  };
  return *presets;
}

absl::StatusOr<Graph> MakeModel(const ModelRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const PresetInfo* const preset,
                            FindPreset(request.preset));
  PENSTOCK_ASSIGN_OR_RETURN(const Numbers numbers, NumbersOf(*preset, request));
  Graph graph;
  graph.name = preset->name;
  graph.microbatch_size = request.microbatch_size;
  const TensorShape tokens = {
      ElementType::kInt64, {request.microbatch_size, request.sequence_length}};
  graph.inputs = {{kTokens, tokens}, {kLabels, tokens}};
  if (preset->name == "mlp") {
    AddMlp(numbers, &graph);
  } else {
    AddGpt(numbers, &graph);
  }
  LayerSpec& loss = Chain(&graph).Add("loss", "cross_entropy", {});
  loss.inputs.push_back(kLabels);
  PENSTOCK_RETURN_IF_ERROR(
      WithContext(CheckGraph(graph), absl::StrCat("model ", preset->name)));
  return graph;
}

}  // namespace penstock
