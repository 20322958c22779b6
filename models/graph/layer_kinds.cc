#include "models/graph/layer_kinds.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "models/graph/kind_table.h"

namespace penstock {
namespace {

std::string Named(const LayerSpec& layer) {
  return absl::StrCat("layer \"", layer.name, "\"");
}

absl::StatusOr<const KindRow*> KindOf(const LayerSpec& layer) {
  if (const KindRow* kind = FindKind(layer.kind); kind != nullptr) return kind;
  const std::string suggestion = DidYouMean(layer.kind, KindNames());
  return absl::InvalidArgumentError(absl::StrCat(
      Named(layer), ": no kind \"", layer.kind, "\"", suggestion,
      suggestion.empty()
          ? absl::StrCat("; there are ", absl::StrJoin(KindNames(), ", "))
          : ""));
}

absl::StatusOr<const KindRow*> CheckedKind(const LayerSpec& layer) {
  PENSTOCK_ASSIGN_OR_RETURN(const KindRow* const kind, KindOf(layer));
  PENSTOCK_RETURN_IF_ERROR(CheckAttributes(*kind, layer));
  return kind;
}

absl::Status CheckInputs(const Graph& graph) {
  if (graph.microbatch_size < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "microbatch size is ", graph.microbatch_size, ", want at least 1"));
  }
  for (const auto& [name, input] : graph.inputs) {
    if (input.shape.empty() || input.shape[0] != graph.microbatch_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input \"", name, "\" is ", ShapeText(input.shape),
          ", want the microbatch's ", graph.microbatch_size, " samples first"));
    }
    for (const int64_t size : input.shape) {
      if (size >= 1 && size <= kMaxCount) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("input \"", name, "\" is ", ShapeText(input.shape),
                       ", want sizes in 1..", kMaxCount));
    }
  }
  return absl::OkStatus();
}

// Where each parameter is.
struct ParameterPlace {
  int layer = 0;
  ParameterSpec spec;
};

absl::StatusOr<std::map<std::string, ParameterPlace>> ParameterPlaces(
    const Graph& graph) {
  std::map<std::string, ParameterPlace> places;
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> parameters,
                              ParametersOf(graph.layers[i]));
    for (const ParameterSpec& spec : parameters) {
      const auto [place, is_new] =
          places.emplace(spec.name, ParameterPlace{static_cast<int>(i), spec});
      if (is_new) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(Named(graph.layers[i]), " and ",
                       Named(graph.layers[place->second.layer]),
                       " both have a parameter \"", spec.name, "\""));
    }
  }
  return places;
}

absl::StatusOr<TiedUse> TiedUseOf(
    const Graph& graph, int layer, const ParameterSpec& user,
    const std::map<std::string, ParameterPlace>& places) {
  const auto error = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat(Named(graph.layers[layer]), ": \"", user.name,
                     "\" is tied to \"", user.tied_to, "\", ", why));
  };
  const auto owner = places.find(user.tied_to);
  if (owner == places.end()) return error("which does not exist");
  const ParameterPlace& place = owner->second;
  if (place.layer >= layer) return error("which is not in an earlier layer");
  if (!place.spec.tied_to.empty()) return error("which is tied itself");
  if (place.spec.shape != user.shape) {
    return error(absl::StrCat("which is ", ShapeText(place.spec.shape),
                              ", want ", ShapeText(user.shape)));
  }
  // Each user draws the owner's first value by itself, so the draw must be the
  // same.
  if (place.spec.init != user.init ||
      place.spec.init_scale != user.init_scale) {
    return error("which starts from another distribution");
  }
  return TiedUse{.owner_parameter = user.tied_to,
                 .owner_layer = place.layer,
                 .user_parameter = user.name,
                 .user_layer = layer};
}

absl::Status CheckLossIsLast(const Graph& graph) {
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    PENSTOCK_ASSIGN_OR_RETURN(const KindRow* const kind,
                              KindOf(graph.layers[i]));
    const bool is_last = i + 1 == graph.layers.size();
    if (kind->is_loss == is_last) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(Named(graph.layers[i]), " of kind ", kind->name,
                     is_last ? " is last, want a loss (cross_entropy) there"
                             : " is a loss, want it last"));
  }
  return absl::OkStatus();
}

absl::Status CheckEveryOutputIsUsed(const Graph& graph) {
  std::set<std::string> used;
  for (const LayerSpec& layer : graph.layers) {
    used.insert(layer.inputs.begin(), layer.inputs.end());
  }
  for (size_t i = 0; i + 1 < graph.layers.size(); ++i) {
    if (used.count(graph.layers[i].name) > 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        Named(graph.layers[i]), ": its output is used by no later layer"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ParameterSpec>> ParametersOf(
    const LayerSpec& layer) {
  PENSTOCK_ASSIGN_OR_RETURN(const KindRow* const kind, CheckedKind(layer));
  return kind->parameters(layer);
}

absl::StatusOr<std::map<std::string, TensorShape>> InferShapes(
    const Graph& graph) {
  PENSTOCK_RETURN_IF_ERROR(CheckInputs(graph));
  std::map<std::string, TensorShape> shapes = graph.inputs;
  for (const LayerSpec& layer : graph.layers) {
    PENSTOCK_ASSIGN_OR_RETURN(const KindRow* const kind, CheckedKind(layer));
    if (static_cast<int>(layer.inputs.size()) != kind->num_inputs) {
      return absl::InvalidArgumentError(
          absl::StrCat(Named(layer), ": a ", kind->name, " takes ",
                       kind->num_inputs, " inputs, got ", layer.inputs.size()));
    }
    std::vector<TensorShape> inputs;
    for (const std::string& name : layer.inputs) {
      const auto found = shapes.find(name);
      if (found == shapes.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(Named(layer), ": its input \"", name,
                         "\" is neither an input of the graph nor an earlier "
                         "layer"));
      }
      inputs.push_back(found->second);
    }
    absl::StatusOr<TensorShape> output = kind->output(layer, inputs);
    if (!output.ok()) return WithContext(output.status(), Named(layer));
    if (layer.name.empty() ||
        !shapes.emplace(layer.name, *std::move(output)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(Named(layer), ": names must be unique and not empty"));
    }
  }
  return shapes;
}

absl::StatusOr<std::vector<int64_t>> ParameterCounts(const Graph& graph) {
  std::vector<int64_t> counts;
  for (const LayerSpec& layer : graph.layers) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> parameters,
                              ParametersOf(layer));
    int64_t count = 0;
    for (const ParameterSpec& spec : parameters) {
      if (spec.tied_to.empty()) count += spec.num_elements();
    }
    counts.push_back(count);
  }
  return counts;
}

int64_t VocabularyOf(const Graph& graph) {
  int64_t vocabulary = 0;
  for (const LayerSpec& layer : graph.layers) {
    const auto found = layer.attributes.find("vocabulary");
    if (found == layer.attributes.end()) continue;
    const auto size = static_cast<int64_t>(found->second);
    vocabulary = vocabulary == 0 ? size : std::min(vocabulary, size);
  }
  return vocabulary;
}

absl::StatusOr<std::vector<TiedUse>> TiedUses(const Graph& graph) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto places, ParameterPlaces(graph));
  std::vector<TiedUse> uses;
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> parameters,
                              ParametersOf(graph.layers[i]));
    for (const ParameterSpec& spec : parameters) {
      if (spec.tied_to.empty()) continue;
      PENSTOCK_ASSIGN_OR_RETURN(
          TiedUse use, TiedUseOf(graph, static_cast<int>(i), spec, places));
      uses.push_back(std::move(use));
    }
  }
  return uses;
}

absl::Status CheckGraph(const Graph& graph) {
  if (graph.layers.empty()) {
    return absl::InvalidArgumentError("the graph has no layers");
  }
  PENSTOCK_RETURN_IF_ERROR(InferShapes(graph).status());
  PENSTOCK_RETURN_IF_ERROR(TiedUses(graph).status());
  PENSTOCK_RETURN_IF_ERROR(CheckLossIsLast(graph));
  return CheckEveryOutputIsUsed(graph);
}

}  // namespace penstock
