#include "models/data/token_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string TempPath(const std::string& name) {
  return ::testing::TempDir() + "/token_file_test_" + name;
}

std::string FileWith(const std::string& name, absl::string_view content) {
  const std::string path = TempPath(name);
  EXPECT_TRUE(WriteFileAtomically(path, content).ok());
  return path;
}

std::string TokenFileWith(const std::string& name,
                          const std::vector<uint16_t>& tokens) {
  return FileWith(name, {reinterpret_cast<const char*>(tokens.data()),
                         tokens.size() * sizeof(uint16_t)});
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

template <typename T>
void ExpectError(const absl::StatusOr<T>& result, absl::StatusCode code,
                 const std::string& part) {
  EXPECT_EQ(result.status().code(), code) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr(part));
}

TEST(PrepareTextFileTest, EachByteIsOneLittleEndianToken) {
  const std::string text = FileWith("bytes.txt", "A\xff\n");
  const std::string output = TempPath("bytes.bin");
  const auto count = PrepareTextFile(text, output, nullptr);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, 3);
  EXPECT_EQ(*ReadFile(output), std::string("A\0\xff\0\n\0", 6));
  EXPECT_FALSE(Exists(output + ".tmp"));
}

TEST(PrepareTextFileTest, StreamsATextOfSeveralChunksAndReportsProgress) {
  const std::string content((size_t{5} << 19) + 1, 'x');
  const std::string text = FileWith("long.txt", content);
  const std::string output = TempPath("long.bin");
  std::vector<std::pair<int64_t, int64_t>> progress;
  const auto count = PrepareTextFile(
      text, output,
      [&](int64_t done, int64_t total) { progress.emplace_back(done, total); });
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(ReadFile(output)->size(), 2 * content.size());
  const auto total = static_cast<int64_t>(content.size());
  EXPECT_THAT(progress, ElementsAre(Pair(1 << 20, total), Pair(2 << 20, total),
                                    Pair(total, total)));
}

TEST(PrepareTextFileTest, RefusesAMissingText) {
  ExpectError(PrepareTextFile(TempPath("none.txt"), TempPath("none.bin"), {}),
              absl::StatusCode::kNotFound, "none.txt");
}

TEST(PrepareTextFileTest, RefusesAnEmptyTextAndKeepsTheOldOutput) {
  const std::string output = FileWith("kept.bin", "old");
  ExpectError(PrepareTextFile(FileWith("empty.txt", ""), output, {}),
              absl::StatusCode::kInvalidArgument, "is empty");
  EXPECT_EQ(*ReadFile(output), "old");
  EXPECT_FALSE(Exists(output + ".tmp"));
}

TEST(PrepareTextFileTest, RefusesToOverwriteItsTextUnderAnyName) {
  const std::string text = FileWith("same.txt", "text");
  const std::string link = TempPath("same_link.bin");
  unlink(link.c_str());
  ASSERT_EQ(symlink(text.c_str(), link.c_str()), 0);
  const std::string temporary = FileWith("clash.bin.tmp", "text");
  for (const auto& [from, to] : {std::pair(text, text), std::pair(text, link),
                                 std::pair(temporary, TempPath("clash.bin"))}) {
    ExpectError(PrepareTextFile(from, to, {}),
                absl::StatusCode::kInvalidArgument, "overwrite the text");
    EXPECT_EQ(*ReadFile(from), "text");
  }
}

TEST(PrepareTextFileTest, RefusesAFolderThatIsNotThere) {
  ExpectError(
      PrepareTextFile(FileWith("f.txt", "x"), TempPath("no/such.bin"), {}),
      absl::StatusCode::kNotFound, "such.bin");
}

TEST(PrepareTextFileTest, RefusesAFolderAsTextOrOutput) {
  const std::string folder = TempPath("folder");
  ASSERT_TRUE(MakeFolder(folder).ok());
  EXPECT_FALSE(PrepareTextFile(folder, TempPath("g.bin"), {}).ok());
  EXPECT_FALSE(Exists(TempPath("g.bin")));
  EXPECT_FALSE(PrepareTextFile(FileWith("g.txt", "x"), folder, {}).ok());
  EXPECT_FALSE(Exists(folder + ".tmp"));
}

TEST(TokenFileTest, SequencesFollowEachOtherAndLabelsAreOneLater) {
  const auto file =
      TokenFile::Open(TokenFileWith("seq.bin", {0, 1, 2, 3, 4, 5, 6}), 7, 3);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->num_sequences(), 2);
  EXPECT_THAT(file->Tokens(0), ElementsAre(0, 1, 2));
  EXPECT_THAT(file->Labels(0), ElementsAre(1, 2, 3));
  EXPECT_THAT(file->Tokens(1), ElementsAre(3, 4, 5));
  EXPECT_THAT(file->Labels(1), ElementsAre(4, 5, 6));
}

TEST(TokenFileTest, ASequenceWithoutItsLastLabelDoesNotCount) {
  const auto file =
      TokenFile::Open(TokenFileWith("tail.bin", {0, 1, 2, 3, 4, 5}), 7, 3);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->num_sequences(), 1);
}

TEST(TokenFileTest, ReadsTheWholeRangeOfSixteenBits) {
  const auto file =
      TokenFile::Open(TokenFileWith("wide.bin", {65535, 0}), 65536, 1);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->Tokens(0), ElementsAre(65535));
}

TEST(TokenFileTest, RefusesAMissingFile) {
  ExpectError(TokenFile::Open(TempPath("missing.bin"), 7, 3),
              absl::StatusCode::kNotFound, "missing.bin");
}

TEST(TokenFileTest, RefusesAnEmptyFile) {
  ExpectError(TokenFile::Open(FileWith("empty.bin", ""), 7, 3),
              absl::StatusCode::kInvalidArgument, "empty.bin is empty");
}

TEST(TokenFileTest, RefusesAnOddNumberOfBytes) {
  ExpectError(TokenFile::Open(FileWith("odd.bin", "abc"), 7, 3),
              absl::StatusCode::kInvalidArgument, "has 3 bytes");
}

TEST(TokenFileTest, RefusesAFileShorterThanOneSequenceAndItsLabel) {
  ExpectError(TokenFile::Open(TokenFileWith("short.bin", {0, 1, 2}), 7, 3),
              absl::StatusCode::kOutOfRange, "has 3 tokens, want at least 4");
}

TEST(TokenFileTest, RefusesATokenOutsideTheVocabularyAndSaysWhere) {
  ExpectError(TokenFile::Open(TokenFileWith("big.bin", {0, 6, 7, 3}), 7, 3),
              absl::StatusCode::kOutOfRange,
              "token 2 is 7, outside the model's vocabulary of 7");
}

}  // namespace
}  // namespace penstock
