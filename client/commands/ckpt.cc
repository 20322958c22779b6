#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/ckpt_progress.h"
#include "client/commands/command.h"
#include "client/follow/coordinator_services.h"
#include "client/follow/follow_stream.h"
#include "client/render/checkpoint_view.h"
#include "client/render/quantity.h"

namespace penstock {
namespace {

struct CkptFlags {
  std::string name;
  std::string other;
  bool all = false;
  bool force = false;
  OutputFormat format = OutputFormat::kText;
};

ExitCode List(CommandContext& context, const CkptFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const auto answer = (*coordinator)->ListCheckpoints(flags.name, flags.all);
  if (!answer.ok()) return context.Fail(answer.status());
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const CheckpointInfo& info : answer->checkpoints()) {
    json.push_back(CheckpointToJson(info));
  }
  context.Print(flags.format, json,
                CheckpointTable({answer->checkpoints().begin(),
                                 answer->checkpoints().end()},
                                context.environment().clock->Now(),
                                flags.format == OutputFormat::kWide));
  return ExitCode::kOk;
}

ExitCode Describe(CommandContext& context, const CkptFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const auto answer = (*coordinator)->GetCheckpoint(flags.name);
  if (!answer.ok()) return context.Fail(AsFailure(answer.status()));
  context.Print(flags.format, CheckpointToJson(*answer),
                DescribeCheckpoint(*answer, context.environment().time_zone));
  return ExitCode::kOk;
}

ExitCode Diff(CommandContext& context, const CkptFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  std::vector<GetCheckpointResponse> both;
  for (const std::string& name : {flags.name, flags.other}) {
    auto answer = (*coordinator)->GetCheckpoint(name);
    if (!answer.ok()) return context.Fail(AsFailure(answer.status()));
    if (!answer->has_manifest()) {
      return context.Fail(absl::FailedPreconditionError(absl::StrCat(
          "the checkpoint ", name, " is ", StateName(answer->info().state()),
          "; only complete ones can be compared")));
    }
    both.push_back(*std::move(answer));
  }
  *context.environment().out << DiffCheckpoints(both[0], both[1]);
  return ExitCode::kOk;
}

ExitCode Verify(CommandContext& context, const CkptFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  const Environment& environment = context.environment();
  VerifyCheckpointRequest request;
  request.set_checkpoint(flags.name);
  grpc::ClientContext call;
  int64_t bytes = 0;
  grpc::Status status;
  {
    const Interrupt::Registration cancel =
        context.interrupt().OnTrip([&call] { call.TryCancel(); });
    const auto reader =
        (*coordinator)->services().jobs->VerifyCheckpoint(&call, request);
    VerifyProgress progress;
    while (reader->Read(&progress)) {
      bytes = progress.total_bytes();
      ShowProgress(environment, progress.done_bytes(), bytes);
    }
    status = reader->Finish();
  }
  EndProgress(environment);
  if (context.interrupt().tripped()) {
    return context.Fail(absl::CancelledError("interrupted"));
  }
  if (!status.ok()) {
    return context.Fail(AsFailure(FromGrpc(status, (*coordinator)->setting())));
  }
  context.Print(flags.format,
                {{"checkpoint", flags.name}, {"sound", true}, {"bytes", bytes}},
                absl::StrCat(flags.name, ": sound, ", BytesText(bytes), "\n"));
  return ExitCode::kOk;
}

ExitCode Show(CommandContext& context, const CkptFlags& flags,
              const absl::StatusOr<CheckpointInfo>& info,
              const std::string& what) {
  if (!info.ok()) return context.Fail(info.status());
  context.Print(flags.format, CheckpointToJson(*info),
                absl::StrCat(CheckpointName(*info), ": ", what, "\n"));
  return ExitCode::kOk;
}

ExitCode Pin(CommandContext& context, const CkptFlags& flags, bool pinned) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  return Show(
      context, flags,
      (*coordinator)
          ->PinCheckpoint(flags.name, pinned, context.environment().new_key()),
      pinned ? "pinned" : "not pinned");
}

ExitCode Remove(CommandContext& context, const CkptFlags& flags) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  return Show(context, flags,
              (*coordinator)
                  ->DeleteCheckpoint(flags.name, flags.force,
                                     context.environment().new_key()),
              "deleted");
}

// A command about one checkpoint.
Command AddAbout(Command parent, CommandContext& context,
                 const std::string& name, const std::string& description,
                 const std::vector<std::string>& examples,
                 std::function<ExitCode(const CkptFlags&)> run) {
  const auto flags = std::make_shared<CkptFlags>();
  Command command =
      AddCommand(parent, context, name, description, examples,
                 [flags, run = std::move(run)] { return run(*flags); });
  command.AddOption("checkpoint", flags->name, kCheckpointHelp)
      .Required()
      .TypeName("CHECKPOINT");
  if (name == "diff") {
    command.AddOption("other", flags->other, kCheckpointHelp)
        .Required()
        .TypeName("CHECKPOINT");
    return command;
  }
  if (name == "rm") {
    command.AddSwitch("--force", flags->force,
                      "Also if it is pinned or the job's only one");
  }
  AddOutputFlag(command, flags->format);
  return command;
}

void AddListing(Command ckpt, CommandContext& context) {
  const auto flags = std::make_shared<CkptFlags>();
  Command command = AddCommand(
      ckpt, context, "list", "List the checkpoints of a job, or of all jobs",
      {"penstock ckpt list", "penstock ckpt list gpt-nano -o wide"},
      [&context, flags] { return List(context, *flags); });
  command
      .AddOption("job", flags->name,
                 "Id, a unique prefix of it, or the newest job's name")
      .TypeName("JOB");
  command.AddSwitch(
      "-a,--all", flags->all,
      "Also those that are deleted or never were complete, as far "
      "as they are remembered");
  AddOutputFlag(command, flags->format);
}

}  // namespace

void AddCkpt(Command app, CommandContext& context) {
  Command ckpt =
      app.AddGroup("ckpt", "Checkpoints",
                   {"penstock ckpt list", "penstock ckpt verify gpt-nano@500"});
  AddListing(ckpt, context);
  AddAbout(
      ckpt, context, "describe", "Show everything about one",
      {"penstock ckpt describe gpt-nano@500"},
      [&context](const CkptFlags& flags) { return Describe(context, flags); });
  AddAbout(
      ckpt, context, "verify", "Read all of one and compare every checksum",
      {"penstock ckpt verify gpt-nano"},
      [&context](const CkptFlags& flags) { return Verify(context, flags); });
  AddAbout(ckpt, context, "pin", "Keep one until it is unpinned",
           {"penstock ckpt pin gpt-nano@500"},
           [&context](const CkptFlags& flags) {
             return Pin(context, flags, /*pinned=*/true);
           });
  AddAbout(ckpt, context, "unpin", "Let the job's rules decide again",
           {"penstock ckpt unpin gpt-nano@500"},
           [&context](const CkptFlags& flags) {
             return Pin(context, flags, /*pinned=*/false);
           });
  AddAbout(
      ckpt, context, "rm", "Delete one", {"penstock ckpt rm gpt-nano@500"},
      [&context](const CkptFlags& flags) { return Remove(context, flags); });
  AddCkptExport(ckpt, context);
  AddCkptImport(ckpt, context);
  AddAbout(ckpt, context, "diff", "Show what differs between two",
           {"penstock ckpt diff gpt-nano@500 gpt-nano@1000"},
           [&context](const CkptFlags& flags) { return Diff(context, flags); });
}

}  // namespace penstock
