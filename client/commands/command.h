#ifndef PENSTOCK_CLIENT_COMMANDS_COMMAND_H_
#define PENSTOCK_CLIENT_COMMANDS_COMMAND_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/command_line.h"
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

// `-o text|wide|json|yaml`.
void AddOutputFlag(Command command, OutputFormat& format);
// `-o text|json` for streams; JSON is one object a line.
void AddStreamOutputFlag(Command command, OutputFormat& format);

// A command below `parent` that, when it was chosen, is `context.run`.
Command AddCommand(Command parent, CommandContext& context,
                   const std::string& name, const std::string& description,
                   const std::vector<std::string>& examples,
                   std::function<ExitCode()> run);

// The flags that make a job: the file, --emulate, --set and --name.
struct JobFlags {
  std::string path;
  std::string emulate;
  std::vector<std::string> sets;
  std::string name;
};
void AddJobFlags(Command command, JobFlags& flags);

// The job of `flags`; `stages` > 0 overrides partition.stages. A file that is
// not there or none is INVALID_ARGUMENT: it is the command line that is wrong.
absl::StatusOr<Job> LoadJob(const JobFlags& flags, int stages,
                            const Environment& environment);

// Reads the job's token file, if its model reads one: there, not empty, long
// enough, inside the vocabulary. INVALID_ARGUMENT says which is not.
absl::Status CheckTokens(const Job& job);

// One function per command; each adds it to `app`.
void AddSubmit(Command app, CommandContext& context);
void AddList(Command app, CommandContext& context);
void AddStatus(Command app, CommandContext& context);
void AddDescribe(Command app, CommandContext& context);
void AddLogs(Command app, CommandContext& context);
void AddEvents(Command app, CommandContext& context);
void AddCancel(Command app, CommandContext& context);
void AddSuspend(Command app, CommandContext& context);
void AddResume(Command app, CommandContext& context);
void AddCkpt(Command app, CommandContext& context);
void AddCkptExport(Command ckpt, CommandContext& context);
void AddCkptImport(Command ckpt, CommandContext& context);
void AddServers(Command app, CommandContext& context);
void AddCerts(Command app, CommandContext& context);
void AddSchedule(Command app, CommandContext& context);
void AddSimulate(Command app, CommandContext& context);
void AddTop(Command app, CommandContext& context);
void AddDiagnose(Command app, CommandContext& context);
void AddDoctor(Command app, CommandContext& context);
void AddTimeline(Command app, CommandContext& context);
void AddData(Command app, CommandContext& context);
void AddLocal(Command app, CommandContext& context);
void AddLocalRun(Command local, CommandContext& context);
void AddLocalUp(Command local, CommandContext& context);
void AddLocalDown(Command local, CommandContext& context);
void AddCompletion(Command app, CommandContext& context);
void AddVersion(Command app, CommandContext& context);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_COMMANDS_COMMAND_H_
