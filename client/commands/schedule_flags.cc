#include "client/commands/schedule_flags.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/schedules/schedule_source.h"

namespace penstock {
namespace {

void AddTime(Command command, const std::string& flag, double& value,
             const std::string& description) {
  command.AddOption(flag, value, description)
      .WithinReal(0.0, 1e12)
      .TypeName("TIME");
}

}  // namespace

void AddGeneratorFlags(Command command, ScheduleFlags& flags) {
  command.AddOption("-p,--ranks", flags.ranks, "Ranks of one pipeline (4)")
      .Within(1, 1'000'000)
      .TypeName("N");
  command
      .AddOption("-m,--microbatches", flags.microbatches,
                 "Microbatches of an update (8)")
      .Within(1, 100'000'000)
      .TypeName("N");
  command
      .AddOption("--replicas", flags.replicas,
                 "Ranks that share the microbatches of each rank: one number, "
                 "or one for each (1)")
      .CommaSeparated()
      .Within(1, 1'000'000)
      .TypeName("N[,N...]");
  command
      .AddOption("--rank-order", flags.rank_order,
                 "Of replicas: one pipeline after the other, or the replicas "
                 "of each rank side by side (pipeline_major)")
      .OneOf({"pipeline_major", "data_major"})
      .TypeName("pipeline_major|data_major");
  command
      .AddOption("--stages", flags.stages,
                 "Stages; else as many as the schedule wants")
      .Within(1, 1'000'000)
      .TypeName("N");
  command
      .AddOption("--param", flags.parameters,
                 "A parameter of the schedule; may be repeated. `penstock "
                 "schedule list -o wide` has them")
      .TypeName("NAME=VALUE")
      .Repeatable();
  command
      .AddOption("--recompute", flags.lowering.recompute,
                 "Which forwards run again before their backward (never)")
      .TypeName("never|except_last|always|STAGES");
  command.AddSwitch("--lowered", flags.lowering.whole,
                    "Add communication, reductions and updates, as stage "
                    "servers run it");
}

void AddRunFlags(Command command, ScheduleFlags& flags) {
  command
      .AddOption("--periods", flags.periods,
                 "Periods of a continuous schedule's run (4)")
      .Within(1, 1'000'000)
      .TypeName("N");
  AddTime(command, "--forward", flags.times.forward,
          "Of a microbatch on one rank's part of the model (1)");
  AddTime(command, "--input-grad", flags.times.input_gradient,
          "Of the backward's half for the inputs (1)");
  AddTime(command, "--weight-grad", flags.times.weight_gradient,
          "Of its half for the weights (1)");
  AddTime(command, "--hop", flags.times.hop, "From rank to rank (0)");
  AddTime(command, "--overhead", flags.action_overhead,
          "Of the host before every action (0)");
  command
      .AddOption("--pair-gain", flags.pair_gain,
                 "What an overlapped pair saves of its shorter part, 0 to 1 "
                 "(0)")
      .WithinReal(0.0, 1.0)
      .TypeName("PART");
  command
      .AddOption("--saved-bytes", flags.times.saved_bytes,
                 "What one rank keeps of a microbatch for its backward (0)")
      .AtLeastZero()
      .TypeName("BYTES");
  command
      .AddOption("--profile", flags.profile,
                 "Take the costs from a profile (JSON of "
                 "proto/profile.proto) instead of these flags")
      .TypeName("FILE");
}

void AddOutputWords(Command command, std::string& output,
                    const std::vector<std::string>& words) {
  output = words.front();
  command
      .AddOption("-o,--output", output,
                 absl::StrCat("What to print: ", words.front(), " by default"))
      .OneOf(words)
      .TypeName(absl::StrJoin(words, "|"));
}

absl::StatusOr<ComparisonRequest> RequestOf(const ScheduleFlags& flags,
                                            const Environment& environment) {
  ComparisonRequest request;
  request.generator.num_ranks = flags.ranks;
  request.generator.num_stages = flags.stages;
  request.generator.replicas = flags.replicas;
  if (flags.rank_order == "data_major") {
    request.generator.rank_order = RankOrder::kDataMajor;
  }
  request.generator.num_microbatches = flags.microbatches;
  PENSTOCK_ASSIGN_OR_RETURN(request.generator.parameters,
                            ParseParameters(flags.parameters));
  request.lowering = flags.lowering;
  request.costs.times = flags.times;
  request.costs.action_overhead = flags.action_overhead;
  request.costs.pair_gain = flags.pair_gain;
  request.periods = flags.periods;
  request.working_folder = environment.working_folder;
  if (flags.profile.empty()) return request;
  const absl::StatusOr<std::string> text = ReadFile(
      absl::StartsWith(flags.profile, "/")
          ? flags.profile
          : absl::StrCat(environment.working_folder, "/", flags.profile));
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--profile: ", text.status().message()));
  }
  absl::StatusOr<wire::Profile> profile = ParseProfile(*text);
  if (!profile.ok()) return WithContext(profile.status(), flags.profile);
  request.costs.profile = *std::move(profile);
  return request;
}

std::vector<RunView> RunsOf(const std::vector<ComparedSchedule>& schedules) {
  std::vector<RunView> runs;
  for (const ComparedSchedule& compared : schedules) {
    if (!compared.run) continue;
    runs.push_back({.title = compared.name,
                    .schedule = &compared.run->run,
                    .timeline = &compared.run->report.timeline});
  }
  return runs;
}

Interrupt::Registration EndOnInterrupt(const Environment& environment) {
  return environment.interrupt->OnTrip(
      [] { _exit(static_cast<int>(ExitCode::kCancelled)); });
}

}  // namespace penstock
