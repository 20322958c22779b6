#include "models/data/toy_language.h"

#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/graph/graph.h"

namespace penstock {
namespace {

constexpr int64_t kLength = 9;
constexpr int64_t kVocabulary = 6;

struct Sentence {
  std::vector<int64_t> source = std::vector<int64_t>(kLength, -1);
  std::vector<int64_t> target = std::vector<int64_t>(kLength, -1);
  std::vector<int64_t> labels = std::vector<int64_t>(kLength, -1);
};

Sentence SentenceOf(uint64_t seed, int64_t number) {
  const ToyLanguage language(seed, kVocabulary, kLength);
  Sentence sentence;
  language.Source(number, absl::MakeSpan(sentence.source));
  language.Target(number, absl::MakeSpan(sentence.target));
  language.Labels(number, absl::MakeSpan(sentence.labels));
  return sentence;
}

TEST(ToyLanguageTest, TheTranslationIsReversedAndShifted) {
  std::set<int64_t> words;
  std::set<int64_t> lengths;
  for (int number = 0; number < 200; ++number) {
    const Sentence sentence = SentenceOf(3, number);
    int64_t length = 0;
    while (length < kLength && sentence.source[length] != kPaddingToken) {
      words.insert(sentence.source[length]);
      ++length;
    }
    lengths.insert(length);
    for (int64_t i = 0; i < kLength; ++i) {
      if (i >= length) {
        EXPECT_EQ(sentence.source[i], kPaddingToken);
        EXPECT_EQ(sentence.target[i], kPaddingToken);
        EXPECT_EQ(sentence.labels[i], kIgnoredLabel);
        continue;
      }
      const int64_t word = sentence.source[length - 1 - i];
      EXPECT_EQ(sentence.labels[i], word == 5 ? 2 : word + 1);
      EXPECT_EQ(sentence.target[i],
                i == 0 ? ToyLanguage::kBegin : sentence.labels[i - 1]);
    }
  }
  EXPECT_THAT(words, ::testing::ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(lengths, ::testing::ElementsAre(5, 6, 7, 8, 9));
}

TEST(ToyLanguageTest, ASentenceDependsOnSeedAndNumberAlone) {
  EXPECT_EQ(SentenceOf(3, 5).source, SentenceOf(3, 5).source);
  EXPECT_NE(SentenceOf(3, 5).source, SentenceOf(3, 6).source);
  EXPECT_NE(SentenceOf(3, 5).source, SentenceOf(4, 5).source);
}

TEST(ToyLanguageTest, OneWordIsASentence) {
  const ToyLanguage language(1, 3, 1);
  std::vector<int64_t> row(1);
  language.Source(0, absl::MakeSpan(row));
  EXPECT_EQ(row[0], 2);
  language.Target(0, absl::MakeSpan(row));
  EXPECT_EQ(row[0], ToyLanguage::kBegin);
  language.Labels(0, absl::MakeSpan(row));
  EXPECT_EQ(row[0], 2);
}

}  // namespace
}  // namespace penstock
