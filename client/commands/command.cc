#include "client/commands/command.h"

#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/render/error_text.h"
#include "client/render/yaml_text.h"
#include "models/data/token_file.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

// CLI11's own transformer would print the enum's numbers in the help.
void AddFormatFlag(
    Command command, OutputFormat& format,
    const std::vector<std::pair<std::string, OutputFormat>>& words) {
  std::vector<std::string> names;
  for (const auto& [word, unused] : words) names.push_back(word);
  command
      .AddOption(
          "-o,--output",
          [&format, by_word = std::map(words.begin(), words.end())](
              const std::string& word) { format = by_word.at(word); },
          "What to print: text by default")
      .OneOf(names)
      .TypeName(absl::StrJoin(names, "|"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorClient>> CommandContext::Connect(
    Interrupt& interrupt, absl::Duration retry_unavailable) {
  PENSTOCK_ASSIGN_OR_RETURN(CoordinatorSetting setting,
                            FindCoordinator(coordinator, environment_));
  return std::make_unique<CoordinatorClient>(
      std::move(setting),
      CallPolicy{absl::Seconds(timeout_seconds), retry_unavailable},
      &interrupt);
}

absl::StatusOr<std::unique_ptr<CoordinatorClient>> CommandContext::Connect() {
  return Connect(interrupt(), absl::Seconds(1));
}

ExitCode CommandContext::Fail(const absl::Status& status) const {
  *environment_.err << ErrorText(status) << std::flush;
  return ExitCodeOf(status);
}

void CommandContext::Print(OutputFormat format,
                           const nlohmann::ordered_json& json,
                           const std::string& text) const {
  switch (format) {
    case OutputFormat::kJson:
      // A name that is no UTF-8 must not end the program.
      *environment_.out << json.dump(
                               2, ' ', false,
                               nlohmann::ordered_json::error_handler_t::replace)
                        << "\n";
      break;
    case OutputFormat::kYaml:
      *environment_.out << YamlText(json);
      break;
    default:
      *environment_.out << text;
  }
  *environment_.out << std::flush;
}

std::unique_ptr<ProgressView> CommandContext::MakeProgressView(
    OutputFormat format) const {
  const bool to_out =
      format == OutputFormat::kText || format == OutputFormat::kWide;
  return std::make_unique<ProgressView>(
      to_out ? environment_.out : environment_.err,
      to_out ? environment_.out_is_terminal : environment_.err_is_terminal,
      environment_.columns);
}

void AddOutputFlag(Command command, OutputFormat& format) {
  AddFormatFlag(command, format,
                {{"text", OutputFormat::kText},
                 {"wide", OutputFormat::kWide},
                 {"json", OutputFormat::kJson},
                 {"yaml", OutputFormat::kYaml}});
}

void AddStreamOutputFlag(Command command, OutputFormat& format) {
  AddFormatFlag(command, format,
                {{"text", OutputFormat::kText}, {"json", OutputFormat::kJson}});
}

Command AddCommand(Command parent, CommandContext& context,
                   const std::string& name, const std::string& description,
                   const std::vector<std::string>& examples,
                   std::function<ExitCode()> run) {
  return parent.AddCommand(
      name, description, examples,
      [&context, run = std::move(run)] { context.run = run; });
}

void AddJobFlags(Command command, JobFlags& flags) {
  command
      .AddOption("job_file", flags.path,
                 "YAML; see docs/job_file.md. Not needed with --emulate")
      .TypeName("FILE");
  command
      .AddOption("--emulate", flags.emulate,
                 "Instead of a model, devices that are busy for the times of "
                 "this profile")
      .TypeName("PROFILE");
  command
      .AddOption("--set", flags.sets,
                 "Change a key of the job file; may be repeated")
      .TypeName("KEY=VALUE")
      .Repeatable();
  command.AddOption("--name", flags.name, "Name the job").TypeName("NAME");
}

absl::StatusOr<Job> LoadJob(const JobFlags& flags, int stages,
                            const Environment& environment) {
  if (flags.path.empty() && flags.emulate.empty()) {
    return absl::InvalidArgumentError(
        "job_file is required, or --emulate PROFILE; deploy/local/jobs holds "
        "examples");
  }
  std::vector<JobOverride> overrides;
  if (flags.path.empty()) {
    overrides.push_back({"name", "emulated", "--emulate"});
    overrides.push_back({"steps", "20", "--emulate"});
  }
  if (!flags.emulate.empty()) {
    overrides.push_back(
        {"emulate", flags.emulate, absl::StrCat("--emulate ", flags.emulate)});
  }
  for (const std::string& set : flags.sets) {
    PENSTOCK_ASSIGN_OR_RETURN(JobOverride change, ParseSetFlag(set));
    overrides.push_back(std::move(change));
  }
  if (!flags.name.empty()) {
    overrides.push_back(
        {"name", flags.name, absl::StrCat("--name ", flags.name)});
  }
  if (stages > 0) {
    overrides.push_back({"partition.stages", absl::StrCat(stages),
                         absl::StrCat("--stages ", stages)});
  }
  const std::string& folder = environment.working_folder;
  absl::StatusOr<Job> job =
      flags.path.empty()
          ? LoadJobText("{}", {"--emulate", folder, folder}, overrides,
                        Presets())
          : LoadJobFile(flags.path, folder, overrides, Presets());
  if (job.ok() || absl::IsInvalidArgument(job.status()) ||
      absl::IsPermissionDenied(job.status())) {
    return job;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("job file: ", job.status().message(),
                   "; deploy/local/jobs holds examples"));
}

absl::Status CheckTokens(const Job& job) {
  if (job.has_emulate()) return absl::OkStatus();
  int64_t vocabulary = 0;
  for (const PresetInfo& preset : Presets()) {
    if (preset.name != job.model().preset()) continue;
    if (preset.data_kind != "tokens") return absl::OkStatus();
    std::string text = preset.defaults.at("vocabulary");
    const auto given = job.model().overrides().find("vocabulary");
    if (given != job.model().overrides().end()) text = given->second;
    if (!absl::SimpleAtoi(text, &vocabulary) || vocabulary < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "model.overrides.vocabulary wants an integer of at least 1, got \"",
          text, "\""));
    }
  }
  const absl::Status status = TokenFile::Open(job.data().tokens(), vocabulary,
                                              job.data().sequence_length())
                                  .status();
  if (absl::IsNotFound(status)) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.tokens: ", status.message(),
                     "; make it with `penstock data prepare --text FILE -o ",
                     job.data().tokens(), "`"));
  }
  if (absl::IsInvalidArgument(status) || absl::IsOutOfRange(status)) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.tokens: ", status.message()));
  }
  return status;
}

}  // namespace penstock
