#include "models/graph/layer_kinds.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "models/graph/kind_rules.h"
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
    return absl::InvalidArgumentError(absl::StrCat(
        Named(graph.layers[i]), " of kind ", kind->name,
        is_last ? " is last, want a loss such as cross_entropy there"
                : " is a loss, want it last"));
  }
  return absl::OkStatus();
}

absl::Status CheckUses(const Graph& graph) {
  std::map<std::string, std::vector<std::string>> users;
  for (const LayerSpec& layer : graph.layers) {
    for (const std::string& input : layer.inputs) {
      users[input].push_back(layer.name);
    }
  }
  for (size_t i = 0; i + 1 < graph.layers.size(); ++i) {
    const std::vector<std::string>& of_this = users[graph.layers[i].name];
    if (of_this.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          Named(graph.layers[i]), ": its output is used by no later layer"));
    }
    if (of_this.size() > 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          Named(graph.layers[i]), ": its output is used ", of_this.size(),
          " times, by ", absl::StrJoin(of_this, ", "),
          "; at most two keep the sum of gradients the same at any cut: put a "
          "layer of kind copy between"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const Graph& graph) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    const std::string& name = graph.layers[i].name;
    if (name.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "layer ", i, " of kind ", graph.layers[i].kind, " has no name"));
    }
    if (graph.inputs.count(name) > 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          Named(graph.layers[i]), " has the name of an input of the graph"));
    }
    const auto [place, is_new] = places.emplace(name, i);
    if (is_new) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        Named(graph.layers[i]), ": layers ", place->second, " (",
        graph.layers[place->second].kind, ") and ", i, " (",
        graph.layers[i].kind, ") have the same name; names must be unique"));
  }
  return absl::OkStatus();
}

// Layers that lead from each to the next and back to the first, if there are
// any.
class CycleSearch {
 public:
  explicit CycleSearch(const Graph& graph) : graph_(graph) {
    for (size_t i = 0; i < graph.layers.size(); ++i) {
      index_[graph.layers[i].name] = i;
    }
    is_done_.resize(graph.layers.size());
  }

  // From the first layer of the cycle to the first again; empty without one.
  std::vector<std::string> Find() {
    for (size_t i = 0; i < graph_.layers.size(); ++i) {
      std::vector<std::string> cycle = FindFrom(i);
      if (!cycle.empty()) return cycle;
    }
    return {};
  }

 private:
  // A layer on the way down, and how many of its inputs have been followed.
  struct Place {
    size_t layer = 0;
    size_t next_input = 0;
  };

  // Depth first along inputs; a stack of its own, since graphs may be deep.
  std::vector<std::string> FindFrom(size_t start) {
    std::vector<Place> path;
    std::set<size_t> on_path;
    const auto enter = [&](size_t layer) {
      path.push_back({layer, 0});
      on_path.insert(layer);
    };
    if (!is_done_[start]) enter(start);
    while (!path.empty()) {
      Place& place = path.back();
      const std::vector<std::string>& inputs =
          graph_.layers[place.layer].inputs;
      if (place.next_input == inputs.size()) {
        is_done_[place.layer] = true;
        on_path.erase(place.layer);
        path.pop_back();
        continue;
      }
      const auto found = index_.find(inputs[place.next_input++]);
      if (found == index_.end() || is_done_[found->second]) continue;
      if (on_path.count(found->second) > 0) {
        return CycleOf(path, found->second);
      }
      enter(found->second);
    }
    return {};
  }

  // The path goes from users to inputs; data flows the other way.
  std::vector<std::string> CycleOf(const std::vector<Place>& path,
                                   size_t first) const {
    std::vector<std::string> cycle = {graph_.layers[first].name};
    for (size_t i = path.size(); i-- > 0 && path[i].layer != first;) {
      cycle.push_back(graph_.layers[path[i].layer].name);
    }
    cycle.push_back(graph_.layers[first].name);
    return cycle;
  }

  const Graph& graph_;
  std::map<std::string, size_t> index_;
  std::vector<bool> is_done_;
};

absl::Status NoSuchInput(const Graph& graph, size_t layer,
                         const std::string& input) {
  std::vector<std::string> names;
  for (const auto& [name, shape] : graph.inputs) names.push_back(name);
  for (const LayerSpec& other : graph.layers) names.push_back(other.name);
  return absl::InvalidArgumentError(
      absl::StrCat(Named(graph.layers[layer]), ": its input \"", input,
                   "\" is neither an input of the graph nor a layer",
                   DidYouMean(input, names)));
}

absl::Status CheckOrder(const Graph& graph) {
  const std::vector<std::string> cycle = CycleSearch(graph).Find();
  if (!cycle.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the layers form a cycle: ", absl::StrJoin(cycle, " -> "),
                     "; a model's data must flow one way"));
  }
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    places[graph.layers[i].name] = i;
  }
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    for (const std::string& input : graph.layers[i].inputs) {
      if (graph.inputs.count(input) > 0) continue;
      const auto place = places.find(input);
      if (place == places.end()) return NoSuchInput(graph, i, input);
      if (place->second < i) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(Named(graph.layers[i]), ": its input \"", input,
                       "\" comes later in the list; write the layers in the "
                       "order in which data flows"));
    }
  }
  return absl::OkStatus();
}

// "\"embed\" [2, 4, 8], \"labels\" int64 [2, 4]"
std::string InputsText(const LayerSpec& layer,
                       const std::vector<TensorShape>& shapes) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < shapes.size(); ++i) {
    texts.push_back(
        absl::StrCat("\"", layer.inputs[i], "\" ", TensorText(shapes[i])));
  }
  return absl::StrJoin(texts, ", ");
}

absl::StatusOr<TensorShape> OutputOf(
    const LayerSpec& layer, const std::map<std::string, TensorShape>& shapes) {
  PENSTOCK_ASSIGN_OR_RETURN(const KindRow* const kind, CheckedKind(layer));
  const auto given = static_cast<int>(layer.inputs.size());
  if (given < kind->num_inputs ||
      (given > kind->num_inputs && !kind->takes_more)) {
    return absl::InvalidArgumentError(absl::StrCat(
        Named(layer), ": a ", kind->name, " takes ", kind->num_inputs,
        kind->takes_more ? " inputs or more" : " inputs", ", got ", given));
  }
  std::vector<TensorShape> inputs;
  for (const std::string& name : layer.inputs) {
    inputs.push_back(shapes.at(name));
  }
  absl::StatusOr<TensorShape> output = kind->output(layer, inputs);
  if (output.ok()) return output;
  return absl::InvalidArgumentError(absl::StrCat(
      Named(layer), " (", kind->name, "): ", output.status().message(),
      "; its inputs are ", InputsText(layer, inputs)));
}

}  // namespace

absl::StatusOr<std::vector<ParameterSpec>> ParametersOf(
    const LayerSpec& layer) {
  PENSTOCK_ASSIGN_OR_RETURN(const KindRow* const kind, CheckedKind(layer));
  return kind->parameters(layer);
}

absl::StatusOr<std::vector<ParameterSpec>> StatisticsOf(
    const LayerSpec& layer) {
  PENSTOCK_ASSIGN_OR_RETURN(const KindRow* const kind, CheckedKind(layer));
  if (kind->statistics == nullptr) return std::vector<ParameterSpec>{};
  return kind->statistics(layer);
}

bool SplitsBackward(const LayerSpec& layer) {
  const KindRow* const kind = FindKind(layer.kind);
  return kind != nullptr && kind->splits_backward;
}

absl::StatusOr<std::map<std::string, TensorShape>> InferShapes(
    const Graph& graph) {
  PENSTOCK_RETURN_IF_ERROR(CheckInputs(graph));
  PENSTOCK_RETURN_IF_ERROR(CheckNames(graph));
  PENSTOCK_RETURN_IF_ERROR(CheckOrder(graph));
  std::map<std::string, TensorShape> shapes = graph.inputs;
  for (const LayerSpec& layer : graph.layers) {
    PENSTOCK_ASSIGN_OR_RETURN(shapes[layer.name], OutputOf(layer, shapes));
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
  return CheckUses(graph);
}

}  // namespace penstock
