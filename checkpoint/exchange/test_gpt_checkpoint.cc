#include "checkpoint/exchange/test_gpt_checkpoint.h"

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/safetensors/header.h"

namespace penstock {
namespace {

// "<layer>.<name>.weight" and ".bias".
void AddPair(ExpectedLayer& layer, const std::string& name,
             const std::vector<int64_t>& shape) {
  layer.tensors.push_back({absl::StrCat(layer.name, name, ".weight"), shape});
  layer.tensors.push_back(
      {absl::StrCat(layer.name, name, ".bias"), {shape.front()}});
}

float ValueOf(const std::string& tensor, uint64_t index) {
  const uint64_t draw = RandomKey(NameKey(tensor), {index}) >> 40;
  const float small = 0.6f * (static_cast<float>(draw) / (1 << 24)) - 0.3f;
  return absl::EndsWith(tensor, "norm.weight") ? 1 + small : small;
}

void AddFile(const ExpectedLayer& layer, TestCheckpoint& checkpoint) {
  ShardFile& file = *checkpoint.manifest.add_files();
  file.set_layer(layer.layer);
  file.set_layer_name(layer.name);
  file.set_kind(ShardFile::WEIGHTS);
  file.set_name(ShardFileName(layer.layer, layer.name, file.kind()));
  SafetensorsHeader header;
  for (const ExpectedLayer::Tensor& tensor : layer.tensors) {
    header.tensors.push_back({tensor.name, StoredType::kFloat32, tensor.shape});
  }
  std::string bytes = EncodeHeader(header).value();
  for (const StoredTensor& tensor : header.tensors) {
    int64_t count = 1;
    for (const int64_t size : tensor.shape) count *= size;
    std::string content(count * sizeof(float), '\0');
    for (int64_t i = 0; i < count; ++i) {
      const float value = ValueOf(tensor.name, i);
      std::memcpy(content.data() + i * sizeof(value), &value, sizeof(value));
    }
    ShardTensor& row = *file.add_tensors();
    row.set_name(tensor.name);
    row.set_type(std::string(StoredTypeName(tensor.type)));
    row.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
    row.set_offset_bytes(bytes.size());
    row.set_size_bytes(content.size());
    row.set_crc32c(Crc32c(content));
    bytes += content;
  }
  file.set_size_bytes(bytes.size());
  file.set_crc32c(Crc32c(bytes));
  checkpoint.shards[file.name()] = std::move(bytes);
}

}  // namespace

std::vector<ExpectedLayer> TestGptLayers(const TestGptShape& shape) {
  const int64_t h = shape.hidden;
  std::vector<ExpectedLayer> layers;
  const auto add = [&layers](const std::string& name) -> ExpectedLayer& {
    layers.push_back({static_cast<int>(layers.size()), name, {}});
    return layers.back();
  };
  add("embed").tensors = {{"embed.token.weight", {shape.vocabulary, h}},
                          {"embed.position.weight", {shape.positions, h}}};
  for (int i = 0; i < shape.layers; ++i) {
    ExpectedLayer& attention = add(absl::StrCat("h", i, ".attn"));
    AddPair(attention, ".norm", {h});
    AddPair(attention, ".qkv", {3 * h, h});
    AddPair(attention, ".projection", {h, h});
    ExpectedLayer& mlp = add(absl::StrCat("h", i, ".mlp"));
    AddPair(mlp, ".norm", {h});
    AddPair(mlp, ".up", {4 * h, h});
    AddPair(mlp, ".down", {h, 4 * h});
  }
  AddPair(add("final_norm"), "", {h});
  if (!shape.is_tied) {
    add("head").tensors = {{"head.weight", {shape.vocabulary, h}}};
  }
  return layers;
}

TestCheckpoint MakeTestGpt(const CheckpointId& id, const TestGptShape& shape) {
  TestCheckpoint checkpoint;
  CheckpointManifest& manifest = checkpoint.manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  *manifest.mutable_id() = id;
  manifest.mutable_state()->set_step(id.step());
  for (const ExpectedLayer& layer : TestGptLayers(shape)) {
    AddFile(layer, checkpoint);
  }
  return checkpoint;
}

}  // namespace penstock
