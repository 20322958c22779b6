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

void AddTime(CLI::App& command, const std::string& flag, double& value,
             const std::string& description) {
  command.add_option(flag, value, description)
      ->check(Quiet(CLI::Range(0.0, 1e12)))
      ->type_name("TIME");
}

}  // namespace

void AddGeneratorFlags(CLI::App& command, ScheduleFlags& flags) {
  command.add_option("-p,--ranks", flags.ranks, "Ranks of one pipeline (4)")
      ->check(Quiet(CLI::Range(1, 1'000'000)))
      ->type_name("N");
  command
      .add_option("-m,--microbatches", flags.microbatches,
                  "Microbatches of an update (8)")
      ->check(Quiet(CLI::Range(1, 100'000'000)))
      ->type_name("N");
  command
      .add_option("--replicas", flags.replicas,
                  "Ranks that share the microbatches of each rank: one number, "
                  "or one for each (1)")
      ->delimiter(',')
      ->check(Quiet(CLI::Range(1, 1'000'000)))
      ->type_name("N[,N...]")
      ->expected(1, 1'000'000)
      ->allow_extra_args(false);
  command
      .add_option("--rank-order", flags.rank_order,
                  "Of replicas: one pipeline after the other, or the replicas "
                  "of each rank side by side (pipeline_major)")
      ->check(Quiet(CLI::IsMember({"pipeline_major", "data_major"})))
      ->type_name("pipeline_major|data_major");
  command
      .add_option("--stages", flags.stages,
                  "Stages; else as many as the schedule wants")
      ->check(Quiet(CLI::Range(1, 1'000'000)))
      ->type_name("N");
  command
      .add_option("--param", flags.parameters,
                  "A parameter of the schedule; may be repeated. `penstock "
                  "schedule list -o wide` has them")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option("--recompute", flags.lowering.recompute,
                  "Which forwards run again before their backward (never)")
      ->type_name("never|except_last|always|STAGES");
  command.add_flag("--lowered", flags.lowering.whole,
                   "Add communication, reductions and updates, as stage "
                   "servers run it");
}

void AddRunFlags(CLI::App& command, ScheduleFlags& flags) {
  command
      .add_option("--periods", flags.periods,
                  "Periods of a continuous schedule's run (4)")
      ->check(Quiet(CLI::Range(1, 1'000'000)))
      ->type_name("N");
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
      .add_option("--pair-gain", flags.pair_gain,
                  "What an overlapped pair saves of its shorter part, 0 to 1 "
                  "(0)")
      ->check(Quiet(CLI::Range(0.0, 1.0)))
      ->type_name("PART");
  command
      .add_option("--saved-bytes", flags.times.saved_bytes,
                  "What one rank keeps of a microbatch for its backward (0)")
      ->check(Quiet(CLI::NonNegativeNumber))
      ->type_name("BYTES");
  command
      .add_option("--profile", flags.profile,
                  "Take the costs from a profile (JSON of "
                  "proto/profile.proto) instead of these flags")
      ->type_name("FILE");
}

void AddOutputWords(CLI::App& command, std::string& output,
                    const std::vector<std::string>& words) {
  output = words.front();
  command
      .add_option("-o,--output", output,
                  absl::StrCat("What to print: ", words.front(), " by default"))
      ->check(Quiet(CLI::IsMember(words)))
      ->type_name(absl::StrJoin(words, "|"));
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
