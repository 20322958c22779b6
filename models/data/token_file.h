#ifndef PENSTOCK_MODELS_DATA_TOKEN_FILE_H_
#define PENSTOCK_MODELS_DATA_TOKEN_FILE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/file.h"

namespace penstock {

// A token file (`.bin`) is the tokens of a corpus in order, each a
// little-endian uint16, and nothing else: no header, and no second file beside
// it. What the numbers mean, and so the vocabulary, is the model's to say.

// Vocabulary of the files that `PrepareTextFile` writes: a token is a byte.
inline constexpr int64_t kByteVocabulary = 256;

// Writes each byte of `text_path` as one token to `output_path` and returns
// how many. Streams: memory does not grow with the text. Readers see the old
// output or the whole new one, never a part; after an error the old is as it
// was. `progress`, unless empty, is called on this thread after each MiB or so
// with the bytes read so far and in all (0 when the text is a pipe).
//
//   NOT_FOUND           no text at `text_path`, or no folder for the output.
//   INVALID_ARGUMENT    the text is empty, or the output is the text itself.
//   RESOURCE_EXHAUSTED  no space; else as base/file.h.
absl::StatusOr<int64_t> PrepareTextFile(
    const std::string& text_path, const std::string& output_path,
    const std::function<void(int64_t done_bytes, int64_t total_bytes)>&
        progress);

// A token file mapped for reading, cut into sequences: sequence i is the
// `sequence_length` tokens from i * sequence_length on, and its labels are the
// same one token later. Tokens at the end that fill no sequence are unused.
// Movable; thread-safe.
class TokenFile {
 public:
  // Reads the file once to compare each token with the vocabulary, so a bad
  // one is found before training and not in the middle of it.
  //
  //   NOT_FOUND         no such file.
  //   INVALID_ARGUMENT  it is empty, or an odd number of bytes.
  //   OUT_OF_RANGE      it is shorter than one sequence and its last label; or
  //                     a token is not below `vocabulary` (says which, where).
  // Requires: vocabulary >= 1, sequence_length >= 1.
  static absl::StatusOr<TokenFile> Open(const std::string& path,
                                        int64_t vocabulary,
                                        int64_t sequence_length);

  int64_t num_sequences() const { return num_sequences_; }

  // Requires: 0 <= sequence < num_sequences(). Valid while this lives.
  absl::Span<const uint16_t> Tokens(int64_t sequence) const;
  absl::Span<const uint16_t> Labels(int64_t sequence) const;

 private:
  TokenFile(MappedFile file, int64_t sequence_length, int64_t num_sequences)
      : file_(std::move(file)),
        sequence_length_(sequence_length),
        num_sequences_(num_sequences) {}

  MappedFile file_;
  int64_t sequence_length_;
  int64_t num_sequences_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_DATA_TOKEN_FILE_H_
