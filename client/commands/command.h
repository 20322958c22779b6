#ifndef PENSTOCK_CLIENT_COMMANDS_COMMAND_H_
#define PENSTOCK_CLIENT_COMMANDS_COMMAND_H_

#include <functional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/environment.h"
#include "client/exit_code.h"
#include "client/follow/coordinator_client.h"
#include "client/follow/progress_view.h"
#include "client/interrupt.h"
#include "client/job_file/job_file.h"
#include "client/settings.h"
#include "nlohmann/json.hpp"

namespace penstock {

enum class OutputFormat { kText, kWide, kJson, kYaml };

// What all commands share: the environment, the global flags, and the command
// that parsing chose. Flags are written by CLI11 while it parses; a command
// reads them when it runs.
class CommandContext {
 public:
  explicit CommandContext(const Environment& environment)
      : environment_(environment) {}

  const Environment& environment() const { return environment_; }
  Interrupt& interrupt() const { return *environment_.interrupt; }

  CoordinatorFlags coordinator;
  double timeout_seconds = 10;
  // Set by the chosen subcommand's callback; run once parsing is over.
  std::function<ExitCode()> run;

  // A client for the configured coordinator. `interrupt` may be another one
  // than the process's. INVALID_ARGUMENT as FindCoordinator.
  absl::StatusOr<std::unique_ptr<CoordinatorClient>> Connect(
      Interrupt& interrupt, absl::Duration retry_unavailable);
  absl::StatusOr<std::unique_ptr<CoordinatorClient>> Connect();

  // Prints an error and gives its exit code.
  ExitCode Fail(const absl::Status& status) const;

  // Prints `json` as JSON or YAML, or else `text`.
  void Print(OutputFormat format, const nlohmann::ordered_json& json,
             const std::string& text) const;

  // Progress goes to standard output with text, so that it reads in order; with
  // JSON or YAML to standard error, so that the output stays one object.
  std::unique_ptr<ProgressView> MakeProgressView(OutputFormat format) const;

 private:
  const Environment& environment_;
};

// Without its description, which the help would append to the type's name.
CLI::Validator Quiet(CLI::Validator validator);

// `-o text|wide|json|yaml`.
void AddOutputFlag(CLI::App& command, OutputFormat& format);
// `-o text|json` for streams; JSON is one object a line.
void AddStreamOutputFlag(CLI::App& command, OutputFormat& format);

// A subcommand with examples below its help. `run` is what it does.
CLI::App& AddCommand(CLI::App& parent, CommandContext& context,
                     const std::string& name, const std::string& description,
                     const std::vector<std::string>& examples,
                     std::function<ExitCode()> run);

// A command that only holds subcommands, with examples below its help.
CLI::App& AddGroup(CLI::App& parent, const std::string& name,
                   const std::string& description,
                   const std::vector<std::string>& examples);

// The flags that make a job: the file, --emulate, --set and --name.
struct JobFlags {
  std::string path;
  std::string emulate;
  std::vector<std::string> sets;
  std::string name;
};
void AddJobFlags(CLI::App& command, JobFlags& flags);

// The job of `flags`; `stages` > 0 overrides partition.stages. A file that is
// not there or none is INVALID_ARGUMENT: it is the command line that is wrong.
absl::StatusOr<Job> LoadJob(const JobFlags& flags, int stages,
                            const Environment& environment);

// Reads the job's token file, if its model reads one: there, not empty, long
// enough, inside the vocabulary. INVALID_ARGUMENT says which is not.
absl::Status CheckTokens(const Job& job);

// One function per command; each adds it to `app`.
void AddSubmit(CLI::App& app, CommandContext& context);
void AddList(CLI::App& app, CommandContext& context);
void AddStatus(CLI::App& app, CommandContext& context);
void AddDescribe(CLI::App& app, CommandContext& context);
void AddLogs(CLI::App& app, CommandContext& context);
void AddEvents(CLI::App& app, CommandContext& context);
void AddCancel(CLI::App& app, CommandContext& context);
void AddSuspend(CLI::App& app, CommandContext& context);
void AddResume(CLI::App& app, CommandContext& context);
void AddCkpt(CLI::App& app, CommandContext& context);
void AddCkptExport(CLI::App& ckpt, CommandContext& context);
void AddCkptImport(CLI::App& ckpt, CommandContext& context);
void AddServers(CLI::App& app, CommandContext& context);
void AddCerts(CLI::App& app, CommandContext& context);
void AddSchedule(CLI::App& app, CommandContext& context);
void AddSimulate(CLI::App& app, CommandContext& context);
void AddTimeline(CLI::App& app, CommandContext& context);
void AddData(CLI::App& app, CommandContext& context);
void AddLocal(CLI::App& app, CommandContext& context);
void AddLocalRun(CLI::App& local, CommandContext& context);
void AddLocalUp(CLI::App& local, CommandContext& context);
void AddLocalDown(CLI::App& local, CommandContext& context);
void AddCompletion(CLI::App& app, CommandContext& context);
void AddVersion(CLI::App& app, CommandContext& context);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_COMMANDS_COMMAND_H_
