#include "stage_server/engine/emulated_state.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "stage_server/engine/host_memory.h"

namespace penstock {
namespace {

std::byte ByteAt(int64_t place) {
  return static_cast<std::byte>(place * 31 + place / 251);
}

std::vector<StateTensor> TensorsOf(const std::vector<EmulatedLayer>& layers) {
  std::vector<StateTensor> tensors;
  const auto floats = [](int64_t bytes) {
    return bytes / StoredTypeBytes(StoredType::kFloat32);
  };
  for (const EmulatedLayer& layer : layers) {
    if (layer.weight_bytes == 0) continue;
    const std::string weight = absl::StrCat(layer.name, ".weight");
    tensors.push_back({layer.layer,
                       layer.name,
                       ShardFile::WEIGHTS,
                       weight,
                       StoredType::kFloat32,
                       {floats(layer.weight_bytes)}});
    tensors.push_back({layer.layer,
                       layer.name,
                       ShardFile::OPTIMIZER,
                       absl::StrCat(weight, "/state"),
                       StoredType::kFloat32,
                       {floats(layer.optimizer_bytes)}});
  }
  return tensors;
}

int64_t LargestOf(const std::vector<StateTensor>& tensors) {
  int64_t largest = 0;
  for (const StateTensor& tensor : tensors) {
    largest = std::max(largest, tensor.size_bytes());
  }
  return largest;
}

}  // namespace

absl::StatusOr<EngineSnapshot> EmulatedSnapshot(
    const std::vector<EmulatedLayer>& layers, int64_t step) {
  const std::vector<StateTensor> tensors = TensorsOf(layers);
  const int64_t largest = LargestOf(tensors);
  HostMemory memory;
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<std::byte> bytes,
                            memory.Get(largest));
  for (int64_t i = 0; i < largest; ++i) bytes.get()[i] = ByteAt(i);
  EngineSnapshot snapshot;
  for (const StateTensor& tensor : tensors) {
    snapshot.tensors.push_back(
        {tensor, {bytes.get(), static_cast<size_t>(tensor.size_bytes())}});
    snapshot.size_bytes += tensor.size_bytes();
  }
  snapshot.memory = std::move(bytes);
  snapshot.state.set_step(step);
  return snapshot;
}

absl::Status ReadEmulatedState(const std::vector<EmulatedLayer>& layers,
                               const std::vector<std::string>& model,
                               StateSource& source) {
  const std::vector<StateTensor> tensors = TensorsOf(layers);
  HostMemory memory;
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<std::byte> bytes,
                            memory.Get(LargestOf(tensors)));
  std::vector<StateSlot> slots;
  for (const StateTensor& tensor : tensors) {
    if (source.weights_only() && tensor.kind != ShardFile::WEIGHTS) continue;
    slots.push_back(
        {tensor, {bytes.get(), static_cast<size_t>(tensor.size_bytes())}});
  }
  PENSTOCK_RETURN_IF_ERROR(source.Fill(slots, model));
  if (slots.empty()) return absl::OkStatus();
  // The one that was filled last.
  const StateSlot& last = slots.back();
  for (size_t i = 0; i < last.into.size(); ++i) {
    if (last.into[i] == ByteAt(static_cast<int64_t>(i))) continue;
    return absl::DataLossError(
        absl::StrCat("\"", last.tensor.name, "\": byte ", i,
                     " is not that of an emulated layer"));
  }
  return absl::OkStatus();
}

}  // namespace penstock
