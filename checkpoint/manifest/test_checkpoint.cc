#include "checkpoint/manifest/test_checkpoint.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/safetensors/header.h"

namespace penstock {
namespace {

void AddShard(TestCheckpoint& checkpoint, int layer, ShardFile::Kind kind,
              const std::string& suffix, uint64_t seed) {
  ShardFile& file = *checkpoint.manifest.add_files();
  file.set_layer(layer);
  file.set_layer_name(absl::StrCat("h", layer));
  file.set_kind(kind);
  file.set_name(ShardFileName(layer, file.layer_name(), kind));
  SafetensorsHeader header;
  header.tensors = {
      {absl::StrCat("h", layer, ".weight", suffix),
       StoredType::kFloat32,
       {4, 3}},
      {absl::StrCat("h", layer, ".bias", suffix), StoredType::kFloat32, {5}}};
  std::string bytes = EncodeHeader(header).value();
  for (const StoredTensor& tensor : header.tensors) {
    ShardTensor& row = *file.add_tensors();
    row.set_name(tensor.name);
    row.set_type(std::string(StoredTypeName(tensor.type)));
    int64_t size_bytes = StoredTypeBytes(tensor.type);
    for (const int64_t size : tensor.shape) {
      row.add_shape(size);
      size_bytes *= size;
    }
    row.set_offset_bytes(bytes.size());
    row.set_size_bytes(size_bytes);
    std::string content;
    for (int64_t i = 0; i < size_bytes; ++i) {
      content += static_cast<char>(seed * 31 + layer * 7 + kind * 3 + i);
    }
    row.set_crc32c(Crc32c(content));
    bytes += content;
  }
  file.set_size_bytes(bytes.size());
  file.set_crc32c(Crc32c(bytes));
  checkpoint.shards[file.name()] = std::move(bytes);
}

}  // namespace

CheckpointId TestCheckpointId(absl::string_view job_id, int64_t step,
                              int64_t epoch) {
  CheckpointId id;
  id.set_job_id(std::string(job_id));
  id.set_step(step);
  id.set_epoch(epoch);
  return id;
}

TestCheckpoint MakeTestCheckpoint(const CheckpointId& id, int num_layers,
                                  uint64_t seed) {
  TestCheckpoint checkpoint;
  CheckpointManifest& manifest = checkpoint.manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  *manifest.mutable_id() = id;
  manifest.set_plan_hash("plan");
  manifest.set_schedule("one_f_one_b");
  manifest.set_stages(2);
  manifest.set_ranks(2);
  manifest.mutable_state()->set_step(id.step());
  for (int layer = 0; layer < num_layers; ++layer) {
    AddShard(checkpoint, layer, ShardFile::WEIGHTS, "", seed);
    AddShard(checkpoint, layer, ShardFile::OPTIMIZER, "/momentum", seed);
  }
  return checkpoint;
}

std::vector<ExpectedLayer> ExpectedLayersOf(const TestCheckpoint& checkpoint) {
  std::vector<ExpectedLayer> layers;
  for (const ShardFile& file : checkpoint.manifest.files()) {
    if (file.kind() != ShardFile::WEIGHTS) continue;
    ExpectedLayer layer{file.layer(), file.layer_name(), {}};
    for (const ShardTensor& tensor : file.tensors()) {
      layer.tensors.push_back(
          {tensor.name(), {tensor.shape().begin(), tensor.shape().end()}});
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace penstock
