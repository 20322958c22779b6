#include "models/data/data_source.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>

#include <memory>
#include <string>

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

TEST(DataSourceTest, StepsOfSeveralLengthsAreThoseOfTheFile) {
  const DataRequest request = {.token_path = WriteTokens(),
                               .batch_size = 4,
                               .seed = 3,
                               .step_lengths = {4, 8}};
  const auto source = DataSource::Open(LanguageModel(), request);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto data =
      TokenData::Open({request.token_path, 256, 8, 4, 2, 3, {4, 8}});
  ASSERT_TRUE(data.ok()) << data.status();
  for (int64_t step = 0; step < 6; ++step) {
    EXPECT_TRUE(
        at::equal(*(*source)->Read("tokens", step, 1), *data->Tokens(step, 1)));
  }
}

TEST(DataSourceTest, RefusesAnInputThatTheDataDoesNotGive) {
  Graph graph = LanguageModel();
  graph.inputs["images"] = {ElementType::kActivation, {2, 3, 8, 8}};
  const auto source =
      DataSource::Open(graph, {.token_path = WriteTokens(), .batch_size = 4});
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(source.status().message()),
              HasSubstr("model mlp reads \"images\"; tokens give tokens and "
                        "labels"));
}

TEST(DataSourceTest, RefusesAMissingFile) {
  EXPECT_EQ(DataSource::Open(LanguageModel(),
                             {.token_path = "/nowhere.bin", .batch_size = 4})
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

// --- data that is made up ---

absl::StatusOr<std::unique_ptr<DataSource>> OpenMade(
    const Graph& graph, int64_t batch_size = 8,
    at::ScalarType type = at::kFloat) {
  return DataSource::Open(
      graph, {.batch_size = batch_size, .seed = 3, .activation_type = type});
}

Graph MadeModel(const std::string& preset, int64_t microbatch_size = 4) {
  int32_t sequence_length = 1;
  for (const PresetInfo& info : Presets()) {
    if (info.name == preset) sequence_length = info.default_sequence_length;
  }
  return *MakeModel({.preset = preset,
                     .microbatch_size = microbatch_size,
                     .sequence_length = sequence_length});
}

class MadeDataTest : public ::testing::TestWithParam<const char*> {};

TEST_P(MadeDataTest, EveryInputHasTheGraphsShapeAndLimit) {
  const Graph graph = MadeModel(GetParam());
  const auto source = OpenMade(graph);
  ASSERT_TRUE(source.ok()) << source.status();
  for (const auto& [name, shape] : graph.inputs) {
    const auto value = (*source)->Read(name, 2, 1);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(value->sizes(), at::IntArrayRef(shape.shape)) << name;
    if (shape.element_type == ElementType::kActivation) {
      EXPECT_EQ(value->scalar_type(), at::kFloat);
      continue;
    }
    EXPECT_EQ(value->scalar_type(), at::kLong);
    EXPECT_LT(value->max().item<int64_t>(), shape.limit) << name;
    EXPECT_TRUE(value->min().item<int64_t>() >= 0 ||
                value->min().item<int64_t>() == kIgnoredLabel);
  }
}

TEST_P(MadeDataTest, MicrobatchesOnlyCutTheStep) {
  const auto cut = OpenMade(MadeModel(GetParam(), 4));
  const auto whole = OpenMade(MadeModel(GetParam(), 8));
  ASSERT_TRUE(cut.ok() && whole.ok());
  for (const auto& [name, shape] : MadeModel(GetParam()).inputs) {
    EXPECT_TRUE(at::equal(
        at::cat({*(*cut)->Read(name, 1, 0), *(*cut)->Read(name, 1, 1)}),
        *(*whole)->Read(name, 1, 0)))
        << name;
    EXPECT_FALSE(
        at::equal(*(*whole)->Read(name, 1, 0), *(*whole)->Read(name, 2, 0)))
        << name;
  }
}

TEST_P(MadeDataTest, HasOneLength) {
  const auto source = DataSource::Open(
      MadeModel(GetParam()), {.batch_size = 8, .step_lengths = {4, 8}});
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(source.status().message()),
              HasSubstr("only tokens have steps of several lengths"));
}

TEST_P(MadeDataTest, RefusesABatchOfPartsOfMicrobatches) {
  for (const int batch_size : {0, 6}) {
    EXPECT_THAT(
        std::string(
            OpenMade(MadeModel(GetParam()), batch_size).status().message()),
        HasSubstr("has microbatches of 4 samples, which do not make"));
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, MadeDataTest,
                         ::testing::Values("cnn", "unet", "inception",
                                           "two-tower", "seq2seq"));

TEST(MadeImagesTest, AreRoundedOnlyAtTheEnd) {
  const Graph graph = MadeModel("cnn");
  const auto images = (*OpenMade(graph))->Read("images", 0, 0);
  const auto rounded =
      (*OpenMade(graph, 8, at::kBFloat16))->Read("images", 0, 0);
  ASSERT_TRUE(images.ok() && rounded.ok());
  EXPECT_TRUE(at::equal(*rounded, images->to(at::kBFloat16)));
}

std::string RefusalOf(const Graph& graph) {
  const auto source = OpenMade(graph);
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(source.status().message());
}

TEST(MadeDataTest, RefusesInputsThatItDoesNotGive) {
  Graph graph = MadeModel("cnn");
  graph.inputs["captions"] = {ElementType::kInt64, {4, 5}, 9};
  EXPECT_THAT(RefusalOf(graph),
              HasSubstr("model cnn reads \"captions\"; images give labels, "
                        "masks, images"));
  graph.inputs.erase("captions");
  graph.inputs["labels"].limit = 0;
  EXPECT_THAT(RefusalOf(graph), HasSubstr("how many classes"));
  graph.inputs["images"].shape.pop_back();
  EXPECT_THAT(RefusalOf(graph), HasSubstr("reads no images"));
  graph.data_kind = "pictures";
  EXPECT_THAT(RefusalOf(graph),
              HasSubstr("reads data of kind \"pictures\"; there are tokens"));
}

TEST(MadeDataTest, RefusesSizesThatDoNotFit) {
  Graph unet = MadeModel("unet");
  unet.inputs["masks"].shape[1] = 15;
  EXPECT_THAT(RefusalOf(unet), HasSubstr("masks of another size"));
  Graph towers = MadeModel("two-tower");
  towers.inputs["captions"].shape[1] = 2;
  EXPECT_THAT(RefusalOf(towers), HasSubstr("want at least 3 words"));
  towers = MadeModel("two-tower");
  towers.inputs["captions"].limit = 7;
  EXPECT_THAT(RefusalOf(towers), HasSubstr("a vocabulary of at least 8"));
  Graph translation = MadeModel("seq2seq");
  translation.inputs["target"].shape[1] = 3;
  EXPECT_THAT(RefusalOf(translation), HasSubstr("reads \"target\" in another"));
  translation.inputs["source"].limit = 2;
  EXPECT_THAT(RefusalOf(translation),
              HasSubstr("no source of a vocabulary of more than 2"));
}

}  // namespace
}  // namespace penstock
