#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/manifest/manifest.h"

namespace penstock {
namespace {

constexpr size_t kMaxDifferencesShown = 10;

using FilesByKind = std::map<ShardFile::Kind, std::vector<const ShardFile*>>;

std::string NameOf(const ExpectedLayer& layer) {
  return absl::StrCat("layer ", layer.layer, " \"", layer.name, "\"");
}

std::string NameOf(const ShardFile& file) {
  return absl::StrCat("layer ", file.layer(), " \"", file.layer_name(), "\"");
}

template <typename Shape>
std::string ShapeText(const Shape& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::string_view KindName(ShardFile::Kind kind) {
  return kind == ShardFile::WEIGHTS ? "weights" : "optimizer state";
}

void CompareTensors(const ExpectedLayer& layer, const ShardFile& file,
                    std::vector<std::string>& differences) {
  std::map<std::string, const ShardTensor*> there;
  for (const ShardTensor& tensor : file.tensors()) {
    there[tensor.name()] = &tensor;
  }
  for (const ExpectedLayer::Tensor& tensor : layer.tensors) {
    const auto it = there.find(tensor.name);
    if (it == there.end()) {
      differences.push_back(
          absl::StrCat(NameOf(layer), ": \"", tensor.name, "\" is missing"));
      continue;
    }
    const auto& shape = it->second->shape();
    if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(),
                    tensor.shape.end())) {
      differences.push_back(absl::StrCat(NameOf(layer), ": \"", tensor.name,
                                         "\" has shape ", ShapeText(shape),
                                         ", wanted ", ShapeText(tensor.shape)));
    }
    there.erase(it);
  }
  for (const auto& [name, tensor] : there) {
    differences.push_back(
        absl::StrCat(NameOf(layer), ": \"", name, "\" is one too many"));
  }
}

// The one file of a kind; what is wrong otherwise goes to `differences`.
const ShardFile* OnlyFile(const ExpectedLayer& layer, const FilesByKind& files,
                          ShardFile::Kind kind,
                          std::vector<std::string>& differences) {
  const auto it = files.find(kind);
  if (it == files.end()) {
    differences.push_back(
        absl::StrCat(NameOf(layer), ": ", KindName(kind), " missing"));
    return nullptr;
  }
  if (it->second.size() > 1) {
    differences.push_back(absl::StrCat(NameOf(layer), ": ", KindName(kind),
                                       " there ", it->second.size(), " times"));
  }
  return it->second.front();
}

void CompareLayer(const ExpectedLayer& layer, const FilesByKind& files,
                  OptimizerFiles optimizer,
                  std::vector<std::string>& differences) {
  const ShardFile* weights =
      OnlyFile(layer, files, ShardFile::WEIGHTS, differences);
  if (optimizer == OptimizerFiles::kRequired) {
    OnlyFile(layer, files, ShardFile::OPTIMIZER, differences);
  }
  if (weights == nullptr) return;
  if (weights->layer_name() != layer.name) {
    differences.push_back(
        absl::StrCat(NameOf(*weights), " is there, wanted ", NameOf(layer)));
  }
  if (!layer.tensors.empty()) CompareTensors(layer, *weights, differences);
}

}  // namespace

absl::Status CheckCover(absl::Span<const ShardFile> files,
                        const std::vector<ExpectedLayer>& layers,
                        OptimizerFiles optimizer) {
  std::map<int, FilesByKind> by_layer;
  for (const ShardFile& file : files) {
    by_layer[file.layer()][file.kind()].push_back(&file);
  }
  std::vector<std::string> differences;
  for (const ExpectedLayer& layer : layers) {
    const auto it = by_layer.find(layer.layer);
    if (it == by_layer.end()) {
      differences.push_back(absl::StrCat(NameOf(layer), " is missing"));
      continue;
    }
    CompareLayer(layer, it->second, optimizer, differences);
    by_layer.erase(it);
  }
  for (const auto& [layer, kinds] : by_layer) {
    differences.push_back(absl::StrCat(NameOf(*kinds.begin()->second.front()),
                                       " is one too many"));
  }
  if (differences.empty()) return absl::OkStatus();
  const size_t num_more = differences.size() > kMaxDifferencesShown
                              ? differences.size() - kMaxDifferencesShown
                              : 0;
  differences.resize(differences.size() - num_more);
  std::string text = absl::StrJoin(differences, "; ");
  if (num_more > 0) absl::StrAppend(&text, "; and ", num_more, " more");
  return absl::FailedPreconditionError(text);
}

}  // namespace penstock
