#ifndef PENSTOCK_CHECKPOINT_EXCHANGE_GPT2_H_
#define PENSTOCK_CHECKPOINT_EXCHANGE_GPT2_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/shards/shard_store.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

// Weights of the GPT presets as those of GPT2LMHeadModel of the Python package
// `transformers` (Radford et al., Language Models are Unsupervised Multitask
// Learners, 2019). The arithmetic is the same; names differ, and so do the axes
// of the matrices between hidden states, which that model stores input first:
//
//   embed.token.weight          transformer.wte.weight
//   embed.position.weight       transformer.wpe.weight
//   h0.attn.norm.*              transformer.h.0.ln_1.*
//   h0.attn.qkv.*               transformer.h.0.attn.c_attn.*     transposed
//   h0.attn.projection.*        transformer.h.0.attn.c_proj.*     transposed
//   h0.mlp.norm.*               transformer.h.0.ln_2.*
//   h0.mlp.up.*                 transformer.h.0.mlp.c_fc.*        transposed
//   h0.mlp.down.*               transformer.h.0.mlp.c_proj.*      transposed
//   final_norm.*                transformer.ln_f.*
//   head.weight, if not tied    lm_head.weight
//
// with `*` for weight and bias; only matrices are transposed.

// What another program calls a tensor.
struct ForeignTensor {
  std::string name;
  // It has the axes the other way round there.
  bool is_transposed = false;

  friend bool operator==(const ForeignTensor&, const ForeignTensor&) = default;
};

// Nothing for a name that no parameter of a GPT preset has.
std::optional<ForeignTensor> Gpt2Tensor(absl::string_view parameter);

// The other way round: `bytes` are of a matrix, row by row, with elements of
// `element_bytes`. Requires: bytes.size() is a multiple of a row's.
std::string TransposedBytes(absl::string_view bytes, int64_t columns,
                            int64_t element_bytes);

// Writes the weights of a committed checkpoint of a GPT preset into a folder
// that `GPT2LMHeadModel.from_pretrained` reads: model.safetensors and, last,
// config.json. Makes the folder. `heads` are the model's attention heads, which
// no tensor tells. Checks each tensor's checksum on the way; `report`, if
// given, is called now and then and ends the work with CANCELLED by answering
// false. One tensor is in memory at a time.
//   FAILED_PRECONDITION  there is something in the folder already; or the
//                        checkpoint is of no GPT: names a tensor.
//   DATA_LOSS            a tensor is not what the manifest says; names it. What
//                        has been written so far stays, without config.json.
// Else the errors of `ShardStore::Read` and of `files`.
absl::Status ExportGpt2(
    const ShardStore& store, const CheckpointManifest& manifest, int64_t heads,
    FileSystem& files, const std::string& folder,
    const std::function<bool(int64_t done_bytes, int64_t total_bytes)>& report);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_EXCHANGE_GPT2_H_
