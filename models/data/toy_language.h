#ifndef PENSTOCK_MODELS_DATA_TOY_LANGUAGE_H_
#define PENSTOCK_MODELS_DATA_TOY_LANGUAGE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock {

// Sentences and their translations, without a file: the translation has the
// words in reverse order, each replaced by the next one of the vocabulary. A
// sentence has between half of the full length and all of it, at least one
// word. Sentence n is a function of (seed, n). Immutable, thread-safe.
class ToyLanguage {
 public:
  // Tokens below this are not words: 0 is padding (kPaddingToken), 1 begins a
  // translation.
  static constexpr int64_t kBegin = 1;
  static constexpr int64_t kFirstWord = 2;

  // Requires: vocabulary > kFirstWord, length >= 1.
  ToyLanguage(uint64_t seed, int64_t vocabulary, int64_t length)
      : seed_(seed), vocabulary_(vocabulary), length_(length) {}

  // Each writes a row of `length` tokens.
  // Requires: `out` has that size.

  // The sentence, then padding.
  void Source(int64_t sentence, absl::Span<int64_t> out) const;
  // What a decoder is given: kBegin and the translation but its last word,
  // then padding.
  void Target(int64_t sentence, absl::Span<int64_t> out) const;
  // What it is to say: the translation, then kIgnoredLabel.
  void Labels(int64_t sentence, absl::Span<int64_t> out) const;

 private:
  std::vector<int64_t> Words(int64_t sentence) const;
  std::vector<int64_t> Translation(int64_t sentence) const;

  const uint64_t seed_;
  const int64_t vocabulary_;
  const int64_t length_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_DATA_TOY_LANGUAGE_H_
