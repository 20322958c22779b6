#ifndef PENSTOCK_CLIENT_COMMANDS_RUN_RECORD_H_
#define PENSTOCK_CLIENT_COMMANDS_RUN_RECORD_H_

#include <string>

#include "absl/status/status.h"
#include "client/commands/command.h"
#include "client/follow/job_follower.h"

namespace penstock {

// Writes loss.svg, job.json and, where there is one, timeline.svg of a followed
// job into `folder`, which is made if need be.
absl::Status WriteRunRecord(const std::string& folder,
                            const FollowedJob& followed);

// Prints the end summary of a followed job; with `folder`, where its files are.
void PrintSummary(const CommandContext& context, OutputFormat format,
                  const FollowedJob& followed, const std::string& folder);

// The exit code of having followed a job: its state's, or that of what ended
// the following, which is printed.
ExitCode FollowedExitCode(const CommandContext& context,
                          const FollowedJob& followed);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_COMMANDS_RUN_RECORD_H_
