#include "checkpoint/exchange/manifest_diff.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock {
namespace {

struct BothTensors {
  const ShardTensor* first = nullptr;
  const ShardTensor* second = nullptr;
};

std::string FormOf(const ShardTensor* tensor) {
  if (tensor == nullptr) return "";
  return absl::StrCat(tensor->type(), " [",
                      absl::StrJoin(tensor->shape(), ", "), "]");
}

TensorChange Compare(const BothTensors& both) {
  if (both.second == nullptr) return TensorChange::kOnlyInFirst;
  if (both.first == nullptr) return TensorChange::kOnlyInSecond;
  if (FormOf(both.first) != FormOf(both.second)) return TensorChange::kReshaped;
  return both.first->crc32c() == both.second->crc32c() ? TensorChange::kSame
                                                       : TensorChange::kChanged;
}

}  // namespace

std::string ToString(TensorChange change) {
  switch (change) {
    case TensorChange::kSame:
      return "same";
    case TensorChange::kChanged:
      return "changed";
    case TensorChange::kReshaped:
      return "reshaped";
    case TensorChange::kOnlyInFirst:
      return "only in the first";
    case TensorChange::kOnlyInSecond:
      return "only in the second";
  }
  return "";
}

std::vector<TensorDifference> DiffManifests(const CheckpointManifest& first,
                                            const CheckpointManifest& second) {
  std::map<std::pair<ShardFile::Kind, std::string>, BothTensors> tensors;
  for (const ShardFile& file : first.files()) {
    for (const ShardTensor& tensor : file.tensors()) {
      tensors[{file.kind(), tensor.name()}].first = &tensor;
    }
  }
  for (const ShardFile& file : second.files()) {
    for (const ShardTensor& tensor : file.tensors()) {
      tensors[{file.kind(), tensor.name()}].second = &tensor;
    }
  }
  std::vector<TensorDifference> differences;
  for (const auto& [key, both] : tensors) {
    differences.push_back({key.second, key.first, Compare(both),
                           FormOf(both.first), FormOf(both.second)});
  }
  return differences;
}

}  // namespace penstock
