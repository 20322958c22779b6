#include "models/data/toy_language.h"

#include <algorithm>
#include <cstddef>

#include "base/random.h"
#include "models/graph/graph.h"

namespace penstock {

std::vector<int64_t> ToyLanguage::Words(int64_t sentence) const {
  const uint64_t key =
      RandomKey(seed_, {NameKey("sentence"), static_cast<uint64_t>(sentence)});
  const int64_t shortest = (length_ + 1) / 2;
  const int64_t length =
      shortest +
      static_cast<int64_t>(RandomKey(key, {0}) %
                           static_cast<uint64_t>(length_ - shortest + 1));
  std::vector<int64_t> words;
  for (int64_t i = 0; i < length; ++i) {
    const uint64_t draw = RandomKey(key, {1, static_cast<uint64_t>(i)});
    words.push_back(kFirstWord +
                    static_cast<int64_t>(draw % static_cast<uint64_t>(
                                                    vocabulary_ - kFirstWord)));
  }
  return words;
}

std::vector<int64_t> ToyLanguage::Translation(int64_t sentence) const {
  std::vector<int64_t> words = Words(sentence);
  std::reverse(words.begin(), words.end());
  for (int64_t& word : words) {
    ++word;
    if (word == vocabulary_) word = kFirstWord;
  }
  return words;
}

void ToyLanguage::Source(int64_t sentence, absl::Span<int64_t> out) const {
  const std::vector<int64_t> words = Words(sentence);
  std::fill(std::copy(words.begin(), words.end(), out.begin()), out.end(),
            kPaddingToken);
}

void ToyLanguage::Target(int64_t sentence, absl::Span<int64_t> out) const {
  const std::vector<int64_t> words = Translation(sentence);
  out[0] = kBegin;
  std::fill(std::copy(words.begin(), words.end() - 1, out.begin() + 1),
            out.end(), kPaddingToken);
}

void ToyLanguage::Labels(int64_t sentence, absl::Span<int64_t> out) const {
  const std::vector<int64_t> words = Translation(sentence);
  std::fill(std::copy(words.begin(), words.end(), out.begin()), out.end(),
            kIgnoredLabel);
}

}  // namespace penstock
