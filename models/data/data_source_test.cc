#include "models/data/data_source.h"

#include <ATen/ops/equal.h>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/data/token_data.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

std::string WriteTokens() {
  std::string bytes;
  for (int i = 0; i < 500; ++i) {
    bytes.push_back(static_cast<char>(i % 251));
    bytes.push_back('\0');
  }
  const std::string path = ::testing::TempDir() + "/data_source_test.bin";
  EXPECT_TRUE(WriteFileAtomically(path, bytes).ok());
  return path;
}

Graph LanguageModel() {
  return *MakeModel(
      {.preset = "mlp", .microbatch_size = 2, .sequence_length = 8});
}

TEST(DataSourceTest, TokensAndLabelsAreThoseOfTheFile) {
  const DataRequest request = {
      .token_path = WriteTokens(), .batch_size = 4, .seed = 3};
  const auto source = DataSource::Open(LanguageModel(), request);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto data = TokenData::Open({request.token_path, 256, 8, 4, 2, 3});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_TRUE(at::equal(*(*source)->Read("tokens", 5, 1), *data->Tokens(5, 1)));
  EXPECT_TRUE(at::equal(*(*source)->Read("labels", 5, 0), *data->Labels(5, 0)));
}

TEST(DataSourceTest, RefusesAnInputThatTheDataDoesNotGive) {
  Graph graph = LanguageModel();
  graph.inputs["images"] = {ElementType::kActivation, {2, 3, 8, 8}};
  const auto source =
      DataSource::Open(graph, {.token_path = WriteTokens(), .batch_size = 4});
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(source.status().message()),
              HasSubstr("model mlp reads \"images\"; a token file gives "
                        "tokens and labels"));
}

TEST(DataSourceTest, RefusesAMissingFile) {
  EXPECT_EQ(DataSource::Open(LanguageModel(),
                             {.token_path = "/nowhere.bin", .batch_size = 4})
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace penstock
