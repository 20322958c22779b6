#include "stage_server/checkpoint/test_snapshot.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "checkpoint/safetensors/header.h"

namespace penstock {

EngineSnapshot TestSnapshot(int64_t scale) {
  const std::vector<StateTensor> tensors = {
      {0,
       "embed",
       ShardFile::WEIGHTS,
       "embed.token.weight",
       StoredType::kFloat32,
       {3 * scale, 2}},
      {0,
       "embed",
       ShardFile::WEIGHTS,
       "embed.position.weight",
       StoredType::kFloat32,
       {4}},
      {0,
       "embed",
       ShardFile::OPTIMIZER,
       "embed.token.weight/momentum",
       StoredType::kFloat32,
       {3 * scale, 2}},
      {0,
       "embed",
       ShardFile::OPTIMIZER,
       "embed.position.weight/momentum",
       StoredType::kFloat32,
       {4}},
      {2,
       "h0.norm",
       ShardFile::WEIGHTS,
       "h0.norm.weight",
       StoredType::kFloat32,
       {3}},
      {2,
       "h0.norm",
       ShardFile::OLDER_VERSIONS,
       "h0.norm.weight@1",
       StoredType::kBFloat16,
       {3}},
  };
  EngineSnapshot snapshot;
  for (const StateTensor& tensor : tensors) {
    snapshot.size_bytes += tensor.size_bytes();
  }
  auto memory = std::make_shared<std::vector<std::byte>>(
      static_cast<size_t>(snapshot.size_bytes));
  size_t begin = 0;
  for (const StateTensor& tensor : tensors) {
    const auto size = static_cast<size_t>(tensor.size_bytes());
    for (size_t i = 0; i < size; ++i) {
      (*memory)[begin + i] =
          static_cast<std::byte>(i * 7 + tensor.name.size() + begin);
    }
    snapshot.tensors.push_back({tensor, {memory->data() + begin, size}});
    begin += size;
  }
  snapshot.memory = std::move(memory);
  snapshot.state.set_step(4);
  StageState& stage = *snapshot.state.add_stages();
  stage.set_stage(1);
  stage.set_updates(4);
  return snapshot;
}

std::vector<std::string> TestLayerNames() {
  return {"embed", "h0.relu", "h0.norm"};
}

CheckpointId TestCheckpoint(int64_t step) {
  CheckpointId checkpoint;
  checkpoint.set_job_id("job-1");
  checkpoint.set_step(step);
  checkpoint.set_epoch(2);
  return checkpoint;
}

}  // namespace penstock
