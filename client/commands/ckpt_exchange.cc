// Weights between checkpoints and other programs' files.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "checkpoint/exchange/export_weights.h"
#include "checkpoint/exchange/gpt2.h"
#include "checkpoint/exchange/import_weights.h"
#include "checkpoint/files/file_system.h"
#include "checkpoint/shards/directory_shard_store.h"
#include "checkpoint/transfer/transfer_shard_store.h"
#include "client/commands/ckpt_progress.h"
#include "client/commands/command.h"
#include "client/render/checkpoint_view.h"
#include "models/zoo/job_model.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

constexpr char kOwnNames[] = "penstock";
constexpr char kGpt2Names[] = "gpt2";

// What a checkpoint of no name of its own is called.
constexpr char kImported[] = "-imported";

struct ExportFlags {
  std::string checkpoint;
  std::string folder;
  std::string names = kOwnNames;
  OutputFormat format = OutputFormat::kText;
};

struct ImportFlags {
  std::string folder;
  JobFlags job;
  std::string names = kOwnNames;
  OutputFormat format = OutputFormat::kText;
};

// For files of checkpoints, as the coordinator says where they are.
std::unique_ptr<ShardStore> OpenStore(const CheckpointStoreAddress& at,
                                      const CoordinatorClient& coordinator,
                                      FileSystem& files,
                                      const Environment& environment) {
  if (at.address().empty()) return MakeDirectoryShardStore(files, at.root());
  TransferClientOptions options;
  options.address = at.address();
  options.token = at.token();
  options.patience = absl::Seconds(10);
  options.tls = coordinator.setting().tls;
  return MakeTransferShardStore(options, *environment.clock);
}

std::string AbsolutePath(const Environment& environment,
                         const std::string& path) {
  return std::filesystem::absolute(
      std::filesystem::path(environment.working_folder) / path);
}

// Of a model that is a GPT-2; no tensor tells.
absl::StatusOr<int64_t> AttentionHeads(const Job& job) {
  PENSTOCK_ASSIGN_OR_RETURN(const Graph graph, MakeModel(RequestOf(job)));
  for (const LayerSpec& layer : graph.layers) {
    if (layer.kind == "attention") {
      return static_cast<int64_t>(layer.attributes.at("heads"));
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("--format gpt2: model ", graph.name,
                   " is no GPT; leave --format out to export it as it is"));
}

absl::Status ExportTo(CoordinatorClient& coordinator,
                      const GetCheckpointResponse& checkpoint,
                      const std::string& names, const std::string& folder,
                      CommandContext& context) {
  const Environment& environment = context.environment();
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  const std::unique_ptr<ShardStore> store =
      OpenStore(checkpoint.store(), coordinator, *files, environment);
  const auto report = [&](int64_t done_bytes, int64_t total_bytes) {
    ShowProgress(environment, done_bytes, total_bytes);
    return !context.interrupt().tripped();
  };
  if (names == kOwnNames) {
    return ExportWeights(*store, checkpoint.manifest(), *files, folder, report);
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      const JobInfo job, coordinator.GetJob(checkpoint.info().id().job_id()));
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t heads, AttentionHeads(job.job()));
  return ExportGpt2(*store, checkpoint.manifest(), heads, *files, folder,
                    report);
}

ExitCode Export(CommandContext& context, const ExportFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const auto answer = (*coordinator)->GetCheckpoint(flags.checkpoint);
  if (!answer.ok()) return context.Fail(AsFailure(answer.status()));
  if (!answer->has_manifest()) {
    return context.Fail(absl::FailedPreconditionError(
        absl::StrCat("the checkpoint ", flags.checkpoint, " is ",
                     StateName(answer->info().state()),
                     "; only a complete one can be exported")));
  }
  const std::string folder = AbsolutePath(context.environment(), flags.folder);
  const absl::Status status =
      ExportTo(**coordinator, *answer, flags.names, folder, context);
  EndProgress(context.environment());
  if (!status.ok()) return context.Fail(AsFailure(status));
  context.Print(
      flags.format,
      {{"checkpoint", CheckpointName(answer->info())}, {"folder", folder}},
      absl::StrCat(CheckpointName(answer->info()), ": weights in ", folder,
                   "\n"));
  return ExitCode::kOk;
}

// The job whose model the weights are of. It never runs, so what it starts from
// does not matter.
absl::StatusOr<Job> JobOf(const ImportFlags& flags,
                          const Environment& environment) {
  PENSTOCK_ASSIGN_OR_RETURN(Job job,
                            LoadJob(flags.job, /*stages=*/0, environment));
  job.clear_start();
  if (flags.job.name.empty()) job.set_name(absl::StrCat(job.name(), kImported));
  return job;
}

std::vector<ExpectedLayer> LayersOf(const BeginImportResponse& begun) {
  std::vector<ExpectedLayer> layers;
  for (const ShardFile& file : begun.files()) {
    ExpectedLayer& layer = layers.emplace_back();
    layer.layer = file.layer();
    layer.name = file.layer_name();
    for (const ShardTensor& tensor : file.tensors()) {
      layer.tensors.push_back(
          {tensor.name(), {tensor.shape().begin(), tensor.shape().end()}});
    }
  }
  return layers;
}

absl::StatusOr<CheckpointInfo> ImportFrom(const std::string& folder,
                                          const ImportFlags& flags,
                                          CommandContext& context) {
  const Environment& environment = context.environment();
  PENSTOCK_ASSIGN_OR_RETURN(const Job job, JobOf(flags, environment));
  PENSTOCK_ASSIGN_OR_RETURN(const auto coordinator, context.Connect());
  PENSTOCK_ASSIGN_OR_RETURN(const BeginImportResponse begun,
                            coordinator->BeginImport(job));
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  const std::unique_ptr<ShardStore> store =
      OpenStore(begun.store(), *coordinator, *files, environment);
  const auto sent = ImportWeights(
      folder, LayersOf(begun), begun.checkpoint(), *store,
      flags.names == kGpt2Names ? WeightNames::kGpt2 : WeightNames::kOwn,
      [&](int64_t done_bytes, int64_t total_bytes) {
        ShowProgress(environment, done_bytes, total_bytes);
        return !context.interrupt().tripped();
      });
  EndProgress(environment);
  PENSTOCK_RETURN_IF_ERROR(sent.status());
  CommitImportRequest request;
  request.mutable_fence();
  request.set_idempotency_key(environment.new_key());
  *request.mutable_job() = job;
  *request.mutable_checkpoint() = begun.checkpoint();
  request.mutable_files()->Assign(sent->begin(), sent->end());
  request.set_source(folder);
  return coordinator->CommitImport(request);
}

ExitCode Import(CommandContext& context, const ImportFlags& flags) {
  const std::string folder = AbsolutePath(context.environment(), flags.folder);
  const absl::StatusOr<CheckpointInfo> info =
      ImportFrom(folder, flags, context);
  if (!info.ok()) {
    // Without weights to import it is the command line that is wrong.
    if (absl::IsNotFound(info.status())) {
      return context.Fail(absl::InvalidArgumentError(info.status().message()));
    }
    return context.Fail(AsFailure(info.status()));
  }
  context.Print(
      flags.format, CheckpointToJson(*info),
      absl::StrCat(CheckpointName(*info), " (", info->job_name(),
                   "): weights of ", folder, "; penstock submit FILE --from ",
                   info->id().job_id(), "\n"));
  return ExitCode::kOk;
}

void AddNamesFlag(Command command, std::string& names) {
  command
      .AddOption("--format", names,
                 "Whose names and shapes the files have: penstock, or gpt2 "
                 "(GPT2LMHeadModel of the package transformers) [penstock]")
      .OneOf({kOwnNames, kGpt2Names})
      .TypeName("NAMES");
}

}  // namespace

void AddCkptExport(Command ckpt, CommandContext& context) {
  const auto flags = std::make_shared<ExportFlags>();
  Command command =
      AddCommand(ckpt, context, "export",
                 "Write the weights of one into a folder, as safetensors files "
                 "that Hugging Face's packages read",
                 {"penstock ckpt export gpt-nano@500 weights/",
                  "penstock ckpt export gpt2-small weights/ --format gpt2"},
                 [&context, flags] { return Export(context, *flags); });
  command.AddOption("checkpoint", flags->checkpoint, kCheckpointHelp)
      .Required()
      .TypeName("CHECKPOINT");
  command.AddOption("folder", flags->folder, "An empty or a new one")
      .Required()
      .TypeName("FOLDER");
  AddNamesFlag(command, flags->names);
  AddOutputFlag(command, flags->format);
}

void AddCkptImport(Command ckpt, CommandContext& context) {
  const auto flags = std::make_shared<ImportFlags>();
  Command command = AddCommand(
      ckpt, context, "import",
      "Make a checkpoint of weights that were trained elsewhere, of the model "
      "of a job file; penstock submit --from begins with them",
      {"penstock ckpt import weights/ job.yaml --name base",
       "penstock ckpt import gpt2/ job.yaml --format gpt2"},
      [&context, flags] { return Import(context, *flags); });
  command
      .AddOption("folder", flags->folder,
                 "A safetensors file, or a folder with model.safetensors or "
                 "model.safetensors.index.json")
      .Required()
      .TypeName("FOLDER");
  AddJobFlags(command, flags->job);
  AddNamesFlag(command, flags->names);
  AddOutputFlag(command, flags->format);
}

}  // namespace penstock
