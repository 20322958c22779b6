#include "models/data/token_data.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "models/layers/torch_status.h"

namespace penstock {
namespace {

std::vector<int64_t> LengthsOf(const TokenDataSpec& spec) {
  if (!spec.step_lengths.empty()) return spec.step_lengths;
  return {spec.sequence_length};
}

}  // namespace

absl::StatusOr<TokenData> TokenData::Open(const TokenDataSpec& spec) {
  if (spec.vocabulary < 1 || spec.sequence_length < 1 || spec.batch_size < 1 ||
      spec.microbatch_size < 1 || spec.batch_size % spec.microbatch_size != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "token data: vocabulary ", spec.vocabulary, ", sequence length ",
        spec.sequence_length, ", batch ", spec.batch_size, ", microbatch ",
        spec.microbatch_size,
        "; want positive numbers and a batch of whole microbatches"));
  }
  const std::vector<int64_t> lengths = LengthsOf(spec);
  const auto [shortest, longest] =
      std::minmax_element(lengths.begin(), lengths.end());
  if (*shortest < 1 || *longest != spec.sequence_length) {
    return absl::InvalidArgumentError(
        absl::StrCat("token data: steps of ", absl::StrJoin(lengths, ", "),
                     " tokens with samples of ", spec.sequence_length,
                     "; want positive numbers, the longest equal to that"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      TokenFile file,
      TokenFile::Open(spec.path, spec.vocabulary, spec.sequence_length));
  return TokenData(spec, std::move(file));
}

TokenData::TokenData(const TokenDataSpec& spec, TokenFile file)
    : spec_(spec),
      file_(std::move(file)),
      sampler_(spec.seed, file_.num_sequences(), spec.batch_size),
      lengths_(spec.seed, LengthsOf(spec)) {}

absl::StatusOr<at::Tensor> TokenData::Tokens(int64_t step,
                                             int64_t microbatch) const {
  return Read(Part::kTokens, step, microbatch);
}

absl::StatusOr<at::Tensor> TokenData::Labels(int64_t step,
                                             int64_t microbatch) const {
  return Read(Part::kLabels, step, microbatch);
}

absl::StatusOr<at::Tensor> TokenData::Read(Part part, int64_t step,
                                           int64_t microbatch) const {
  const int64_t length = lengths_.LengthOf(step);
  PENSTOCK_ASSIGN_OR_RETURN(
      at::Tensor out, CatchTorch("token data", [&] {
        return at::empty({spec_.microbatch_size, length}, at::kLong);
      }));
  int64_t* row = out.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < spec_.microbatch_size; ++i) {
    const int64_t index = microbatch * spec_.microbatch_size + i;
    const int64_t sequence = sampler_.Sequence(step, index);
    const absl::Span<const uint16_t> values =
        part == Part::kTokens ? file_.Tokens(sequence) : file_.Labels(sequence);
    const auto* const begin = values.data() + lengths_.OffsetOf(step, index);
    row = std::copy(begin, begin + length, row);
  }
  return out;
}

}  // namespace penstock
