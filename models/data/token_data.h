#ifndef PENSTOCK_MODELS_DATA_TOKEN_DATA_H_
#define PENSTOCK_MODELS_DATA_TOKEN_DATA_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/data/sampler.h"
#include "models/data/token_file.h"
#include "models/graph/step_lengths.h"

namespace penstock {

// What a job says about its token data.
struct TokenDataSpec {
  std::string path;
  int64_t vocabulary = 0;
  // Of the longest samples.
  int64_t sequence_length = 0;
  // Samples per step, and per microbatch, which divides it.
  int64_t batch_size = 0;
  int64_t microbatch_size = 0;
  uint64_t seed = 0;
  // Of steps (StepLengths), the longest `sequence_length`. Empty: all of that.
  std::vector<int64_t> step_lengths;
};

// The "tokens" and "labels" of a graph, by (step, microbatch): microbatch j
// holds the step's samples j * microbatch_size and on. A rank reads what it
// needs (the first stage tokens, the loss labels) without the others.
// Movable; thread-safe.
class TokenData {
 public:
  // INVALID_ARGUMENT when the sizes are not positive or do not divide, or the
  // longest step has not `sequence_length`; else as TokenFile::Open.
  static absl::StatusOr<TokenData> Open(const TokenDataSpec& spec);

  // A new int64 tensor [microbatch_size, tokens of a sample of the step]; steps
  // count from 0. A shorter sample is a part of a longest one's tokens.
  // Labels are the tokens that come next. RESOURCE_EXHAUSTED without memory.
  // Requires: step >= 0, 0 <= microbatch < batch_size / microbatch_size.
  absl::StatusOr<at::Tensor> Tokens(int64_t step, int64_t microbatch) const;
  absl::StatusOr<at::Tensor> Labels(int64_t step, int64_t microbatch) const;

 private:
  enum class Part { kTokens, kLabels };

  TokenData(const TokenDataSpec& spec, TokenFile file);

  absl::StatusOr<at::Tensor> Read(Part part, int64_t step,
                                  int64_t microbatch) const;

  TokenDataSpec spec_;
  TokenFile file_;
  Sampler sampler_;
  StepLengths lengths_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_DATA_TOKEN_DATA_H_
