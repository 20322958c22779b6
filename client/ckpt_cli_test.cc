// `penstock ckpt`, `suspend`, `resume`, and what `submit` starts from.

#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "checkpoint/safetensors/header.h"
#include "client/cli_fixture.h"
#include "client/follow/fake_coordinator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// One layer of one tensor, with this checksum.
GetCheckpointResponse CheckpointOfStep(int64_t step, uint32_t crc32c = 7) {
  GetCheckpointResponse answer;
  CheckpointInfo& info = *answer.mutable_info();
  info.mutable_id()->set_job_id("j-1");
  info.mutable_id()->set_step(step);
  info.mutable_id()->set_epoch(1);
  info.set_state(CHECKPOINT_STATE_COMMITTED);
  info.set_job_name("gpt");
  info.set_size_bytes(2048);
  info.set_schedule("gpipe");
  info.set_stages(2);
  info.set_ranks(2);
  CheckpointManifest& manifest = *answer.mutable_manifest();
  *manifest.mutable_id() = info.id();
  ShardFile& file = *manifest.add_files();
  file.set_name("l0000-embed.w.safetensors");
  file.set_layer_name("embed");
  file.set_kind(ShardFile::WEIGHTS);
  ShardTensor& tensor = *file.add_tensors();
  tensor.set_name("embed.token.weight");
  tensor.set_type("F32");
  tensor.add_shape(512);
  tensor.set_crc32c(crc32c);
  return answer;
}

class CkptCliTest : public CliFixture {
 protected:
  CkptCliTest() { WriteJob(); }

  int Run(const FakeCoordinator& coordinator,
          std::vector<std::string> arguments) {
    return RunAgainst(coordinator, std::move(arguments));
  }
};

TEST_F(CkptCliTest, ListShowsNameStateAndSize) {
  FakeCoordinator coordinator({.checkpoints = {CheckpointOfStep(5)}});
  ASSERT_EQ(Run(coordinator, {"ckpt", "list"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("j-1@5"), HasSubstr("COMMITTED"),
                                HasSubstr("2.00 KiB")));
  ASSERT_EQ(Run(coordinator, {"ckpt", "list", "gpt", "-o", "wide"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("gpipe, 2 stages on 2 ranks"));
  ASSERT_EQ(Run(coordinator, {"ckpt", "list", "-o", "json"}), 0);
  EXPECT_EQ(Json()[0]["step"], 5);
  EXPECT_EQ(Json()[0]["pinned"], false);
}

TEST_F(CkptCliTest, DescribeShowsTheFiles) {
  FakeCoordinator coordinator({.checkpoints = {CheckpointOfStep(5)}});
  ASSERT_EQ(Run(coordinator, {"ckpt", "describe", "j-1@5"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("l0000-embed.w.safetensors"));
  ASSERT_EQ(Run(coordinator, {"ckpt", "describe", "j-1@5", "-o", "json"}), 0);
  EXPECT_EQ(Json()["manifest"]["files"][0]["tensors"][0]["name"],
            "embed.token.weight");
}

TEST_F(CkptCliTest, AStepThatIsNotThereIsThree) {
  FakeCoordinator coordinator({.checkpoints = {CheckpointOfStep(5)}});
  for (const char* command : {"describe", "verify", "pin", "unpin", "rm"}) {
    EXPECT_EQ(Run(coordinator, {"ckpt", command, "j-1@6"}), 3) << command;
    EXPECT_THAT(err_.str(), HasSubstr("j-1@6"));
  }
}

TEST_F(CkptCliTest, VerifySaysSoundOrFails) {
  FakeCoordinator sound({.checkpoints = {CheckpointOfStep(5)}});
  ASSERT_EQ(Run(sound, {"ckpt", "verify", "j-1@5"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("j-1@5: sound, 2.00 KiB"));
  FakeCoordinator damaged(
      {.checkpoints = {CheckpointOfStep(5)},
       .verdict = {grpc::StatusCode::DATA_LOSS, "embed.token.weight: crc32c"}});
  EXPECT_EQ(Run(damaged, {"ckpt", "verify", "j-1@5"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("embed.token.weight: crc32c"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("sound")));
}

TEST_F(CkptCliTest, PinAndUnpinSayWhatItIsNow) {
  FakeCoordinator coordinator({.checkpoints = {CheckpointOfStep(5)}});
  ASSERT_EQ(Run(coordinator, {"ckpt", "pin", "j-1@5"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("j-1@5: pinned"));
  ASSERT_EQ(Run(coordinator, {"ckpt", "unpin", "j-1@5", "-o", "json"}), 0);
  EXPECT_EQ(Json()["pinned"], false);
}

TEST_F(CkptCliTest, RemovalOfTheOnlyOneNeedsForce) {
  FakeCoordinator coordinator({.checkpoints = {CheckpointOfStep(5)}});
  EXPECT_EQ(Run(coordinator, {"ckpt", "rm", "j-1@5"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("--force"));
  EXPECT_EQ(Run(coordinator, {"ckpt", "rm", "j-1@5", "--force"}), 0);
}

TEST_F(CkptCliTest, DiffNamesTheTensorsThatDiffer) {
  FakeCoordinator coordinator(
      {.checkpoints = {CheckpointOfStep(5), CheckpointOfStep(10, 9)}});
  ASSERT_EQ(Run(coordinator, {"ckpt", "diff", "j-1@5", "j-1@10"}), 0)
      << err_.str();
  EXPECT_THAT(out_.str(),
              AllOf(HasSubstr("step: 5 | 10"), HasSubstr("1 of 1 tensors"),
                    HasSubstr("embed.token.weight")));
  ASSERT_EQ(Run(coordinator, {"ckpt", "diff", "j-1@5", "j-1@5"}), 0);
  EXPECT_EQ(out_.str(), "the same weights and optimizer state\n");
}

TEST_F(CkptCliTest, SuspendAndResumeShowTheState) {
  FakeCoordinator coordinator({});
  ASSERT_EQ(Run(coordinator, {"suspend", "j-1"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("SUSPENDING"));
  ASSERT_EQ(Run(coordinator, {"resume", "j-1"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("QUEUED"));
}

// Of a coordinator that is told to keep two weights in a folder of this
// machine; gpt2 calls them "transformer.wte.weight".
BeginImportResponse ImportInto(const std::string& root) {
  BeginImportResponse begun;
  begun.mutable_checkpoint()->set_job_id("j-9");
  begun.mutable_checkpoint()->set_epoch(1);
  begun.mutable_store()->set_root(root);
  ShardFile& file = *begun.add_files();
  file.set_layer_name("embed");
  file.set_kind(ShardFile::WEIGHTS);
  ShardTensor& tensor = *file.add_tensors();
  tensor.set_name("embed.token.weight");
  tensor.add_shape(2);
  return begun;
}

std::string FileWith(const std::string& name) {
  SafetensorsHeader header;
  header.tensors = {{name, StoredType::kFloat32, {2}}};
  return EncodeHeader(header).value() + std::string(8, '\1');
}

TEST_F(CkptCliTest, ImportSendsTheFilesAndSaysWhatToStartFrom) {
  FakeCoordinator coordinator({.import = ImportInto(folder_)});
  Write("model.safetensors", FileWith("embed.token.weight"));
  ASSERT_EQ(Run(coordinator, {"ckpt", "import", Path("model.safetensors"),
                              Path("job.yaml")}),
            0)
      << err_.str();
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("j-9@0"), HasSubstr("--from j-9")));
  const CommitImportRequest sent = coordinator.imported();
  EXPECT_EQ(sent.job().name(), "job-imported");
  EXPECT_EQ(sent.idempotency_key(), "key-1");
  ASSERT_EQ(sent.files_size(), 1);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/j-9/step-000000000.e0001/" +
                                      sent.files(0).name()));
  Write("model.safetensors", FileWith("transformer.wte.weight"));
  ASSERT_EQ(Run(coordinator, {"ckpt", "import", folder_, Path("job.yaml"),
                              "--name", "base", "--format", "gpt2"}),
            0)
      << err_.str();
  EXPECT_EQ(coordinator.imported().job().name(), "base");
}

TEST_F(CkptCliTest, ImportRefusesWhatDoesNotFit) {
  FakeCoordinator coordinator({.import = ImportInto(folder_)});
  EXPECT_EQ(
      Run(coordinator, {"ckpt", "import", Path("none"), Path("job.yaml")}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("none"));
  Write("other.safetensors", FileWith("other"));
  const std::vector<std::string> other = {
      "ckpt", "import", Path("other.safetensors"), Path("job.yaml")};
  EXPECT_EQ(Run(coordinator, other), 1);
  EXPECT_THAT(err_.str(), HasSubstr("\"embed.token.weight\" is missing"));
  Write("other.safetensors", "no file at all");
  EXPECT_EQ(Run(coordinator, other), 1);
  EXPECT_THAT(err_.str(), HasSubstr("other.safetensors"));
  EXPECT_EQ(Run(coordinator, {"ckpt", "import", folder_}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("job_file"));
  EXPECT_EQ(Run(coordinator, {"ckpt", "import", folder_, Path("job.yaml"),
                              "--format", "gpt3"}),
            2);
  EXPECT_EQ(coordinator.imported().files_size(), 0);
}

TEST_F(CkptCliTest, ExportRefusesAFolderThatIsNotEmpty) {
  GetCheckpointResponse checkpoint = CheckpointOfStep(5);
  checkpoint.mutable_manifest()->set_format_version(1);
  checkpoint.mutable_manifest()->mutable_state()->set_step(5);
  checkpoint.mutable_manifest()->clear_files();
  FakeCoordinator coordinator({.checkpoints = {checkpoint}});
  EXPECT_EQ(Run(coordinator, {"ckpt", "export", "j-1@5", folder_}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("is not empty"));
  EXPECT_EQ(Run(coordinator, {"ckpt", "export", "j-1@6", Path("new")}), 3);
}

TEST_F(CkptCliTest, SubmitSaysWhatToStartFrom) {
  FakeCoordinator coordinator({});
  ASSERT_EQ(Run(coordinator, {"submit", Path("job.yaml")}), 0) << err_.str();
  EXPECT_EQ(coordinator.submitted().start().resume(), "never");
  EXPECT_EQ(coordinator.submitted().checkpoint().every_steps(), 500);
  ASSERT_EQ(Run(coordinator, {"submit", Path("job.yaml"), "--resume=auto"}), 0);
  EXPECT_EQ(coordinator.submitted().start().resume(), "auto");
  ASSERT_EQ(Run(coordinator, {"submit", Path("job.yaml"), "--from", "gpt@5"}),
            0);
  EXPECT_EQ(coordinator.submitted().start().from(), "gpt@5");
}

TEST_F(CkptCliTest, SubmitRefusesAStartThatIsNone) {
  FakeCoordinator coordinator({});
  EXPECT_EQ(Run(coordinator, {"submit", Path("job.yaml"), "--resume=maybe"}),
            2);
  EXPECT_EQ(Run(coordinator,
                {"submit", Path("job.yaml"), "--resume=auto", "--from", "gpt"}),
            2);
  EXPECT_EQ(coordinator.submissions(), 0);
}

}  // namespace
}  // namespace penstock
