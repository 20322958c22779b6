// The C++ side of agree_with_safetensors.py and agree_with_gpt2.py:
//
//   checkpoint_files write FOLDER   commits a small checkpoint under
//   FOLDER/root
//                                   and exports it to FOLDER/export
//   checkpoint_files read FILE      prints each tensor of a safetensors file:
//                                   name, type, sizes, first and last byte
//   checkpoint_files gpt2 FOLDER    commits small GPTs, with a tied head and
//                                   without, and exports each to
//                                   FOLDER/<tied|untied>/own and .../gpt2
//   checkpoint_files import FOLDER  imports FOLDER/in, of an untied GPT in
//                                   GPT-2's names, and exports it to FOLDER/own

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "checkpoint/exchange/export_weights.h"
#include "checkpoint/exchange/gpt2.h"
#include "checkpoint/exchange/import_weights.h"
#include "checkpoint/exchange/test_gpt_checkpoint.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/manifest/manifest.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "checkpoint/safetensors/header.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "checkpoint/store/checkpoint_store.h"

namespace penstock {
namespace {

constexpr int kHeads = 4;

TestGptShape GptShape(bool is_tied) {
  return {.layers = 3,
          .hidden = 32,
          .vocabulary = 64,
          .positions = 24,
          .is_tied = is_tied};
}

absl::Status Commit(const TestCheckpoint& checkpoint, FileSystem& files,
                    const std::string& root) {
  PENSTOCK_ASSIGN_OR_RETURN(CheckpointStore store,
                            CheckpointStore::Open(files, root));
  const auto shards = MakeDirectoryShardStore(files, root);
  for (const auto& [name, content] : checkpoint.shards) {
    PENSTOCK_ASSIGN_OR_RETURN(
        const auto upload,
        shards->Begin(checkpoint.manifest.id(), name, content.size()));
    PENSTOCK_RETURN_IF_ERROR(upload->Append(content));
    PENSTOCK_RETURN_IF_ERROR(upload->Finish().status());
  }
  return store.Commit(checkpoint.manifest);
}

absl::Status Write(const std::string& folder) {
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  const std::string root = absl::StrCat(folder, "/root");
  const TestCheckpoint checkpoint =
      MakeTestCheckpoint(TestCheckpointId("job", 5, 1));
  PENSTOCK_RETURN_IF_ERROR(Commit(checkpoint, *files, root));
  return ExportWeights(*MakeDirectoryShardStore(*files, root),
                       checkpoint.manifest, *files,
                       absl::StrCat(folder, "/export"), nullptr);
}

absl::Status WriteGpt2(const std::string& folder) {
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  const std::string root = absl::StrCat(folder, "/root");
  for (const std::string kind : {"tied", "untied"}) {
    const TestCheckpoint checkpoint =
        MakeTestGpt(TestCheckpointId(kind, 5, 1), GptShape(kind == "tied"));
    PENSTOCK_RETURN_IF_ERROR(Commit(checkpoint, *files, root));
    const auto shards = MakeDirectoryShardStore(*files, root);
    const std::string out = absl::StrCat(folder, "/", kind);
    PENSTOCK_RETURN_IF_ERROR(ExportWeights(*shards, checkpoint.manifest, *files,
                                           out + "/own", nullptr));
    PENSTOCK_RETURN_IF_ERROR(ExportGpt2(*shards, checkpoint.manifest, kHeads,
                                        *files, out + "/gpt2", nullptr));
  }
  return absl::OkStatus();
}

absl::Status ImportGpt2(const std::string& folder) {
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  const std::string root = absl::StrCat(folder, "/root");
  PENSTOCK_ASSIGN_OR_RETURN(CheckpointStore store,
                            CheckpointStore::Open(*files, root));
  const auto shards = MakeDirectoryShardStore(*files, root);
  CheckpointManifest manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  *manifest.mutable_id() = TestCheckpointId("imported", 0, 1);
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::vector<ShardFile> imported,
      ImportWeights(folder + "/in", TestGptLayers(GptShape(false)),
                    manifest.id(), *shards, WeightNames::kGpt2));
  manifest.mutable_files()->Assign(imported.begin(), imported.end());
  PENSTOCK_RETURN_IF_ERROR(store.Commit(manifest));
  return ExportWeights(*shards, manifest, *files, folder + "/own", nullptr);
}

absl::Status Read(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string file, ReadFile(path));
  PENSTOCK_ASSIGN_OR_RETURN(
      const int64_t length,
      ParseHeaderLength(absl::string_view(file).substr(0, kHeaderLengthBytes),
                        file.size()));
  const int64_t data = kHeaderLengthBytes + length;
  PENSTOCK_ASSIGN_OR_RETURN(
      const SafetensorsHeader header,
      ParseHeader(absl::string_view(file).substr(kHeaderLengthBytes, length),
                  static_cast<int64_t>(file.size()) - data));
  for (const StoredTensor& tensor : header.tensors) {
    const auto byte = [&](int64_t at) {
      return static_cast<int>(static_cast<unsigned char>(file[data + at]));
    };
    std::printf("%s %s %s %d %d\n", tensor.name.c_str(),
                std::string(StoredTypeName(tensor.type)).c_str(),
                absl::StrJoin(tensor.shape, "x").c_str(), byte(tensor.begin),
                byte(tensor.end - 1));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  const std::string command = argc == 3 ? argv[1] : "";
  absl::Status status = absl::InvalidArgumentError(
      "usage: checkpoint_files write|read|gpt2|import PATH");
  if (command == "write") status = penstock::Write(argv[2]);
  if (command == "gpt2") status = penstock::WriteGpt2(argv[2]);
  if (command == "import") status = penstock::ImportGpt2(argv[2]);
  if (command == "read") status = penstock::Read(argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
