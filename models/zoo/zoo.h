#ifndef PENSTOCK_MODELS_ZOO_ZOO_H_
#define PENSTOCK_MODELS_ZOO_ZOO_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/graph/graph.h"

namespace penstock {

struct PresetInfo {
  std::string name;
  // One line: what it is and how large.
  std::string description;
  // Overridable numbers with their defaults: {"layers", "4"}.
  std::map<std::string, std::string> defaults;
  // Of tokens; 1 for models of images, which have no sequences.
  int32_t default_sequence_length = 0;
  // What it reads (Graph::data_kind).
  std::string data_kind = "tokens";
};

// In the order to show them: language models, then models of images, pairs and
// translation, which need no file: their data is made up.
const std::vector<PresetInfo>& Presets();

struct ModelRequest {
  std::string preset;
  std::map<std::string, std::string> overrides;
  int64_t microbatch_size = 0;
  int32_t sequence_length = 0;
  // What the job says that its data is; empty: what the model reads.
  std::string data_kind;
};

// The checked graph. INVALID_ARGUMENT, with a suggestion, for an unknown preset
// or override, for a value that is no number or impossible, and for data that
// the model does not read.
absl::StatusOr<Graph> MakeModel(const ModelRequest& request);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_ZOO_ZOO_H_
