#include <memory>
#include <vector>

#include "base/version.h"
#include "client/commands/command.h"
#include "client/doctor/examination.h"
#include "client/doctor/findings_view.h"

namespace penstock {
namespace {

ExitCode Doctor(CommandContext& context, OutputFormat format) {
  const auto coordinator = context.Connect();
  if (!coordinator.ok()) return context.Fail(coordinator.status());
  // The first call opens the connection.
  auto answer = (*coordinator)->ListServers();
  if (!answer.ok()) return context.Fail(answer.status());
  const int64_t before = MonotonicNanos();
  answer = (*coordinator)->ListServers();
  if (!answer.ok()) return context.Fail(answer.status());
  ObservedCluster cluster;
  cluster.round_trip = absl::Nanoseconds(MonotonicNanos() - before);
  cluster.servers = *std::move(answer);
  cluster.client_build_version = kBuildVersion;
  const std::vector<Finding> findings = Examine(cluster);
  context.Print(format, FindingsToJson(findings), FindingsText(findings));
  return Worst(findings) == Health::kBad ? ExitCode::kFailed : ExitCode::kOk;
}

}  // namespace

void AddDoctor(Command app, CommandContext& context) {
  const auto format = std::make_shared<OutputFormat>(OutputFormat::kText);
  const Command command =
      AddCommand(app, context, "doctor",
                 "Look for what would make jobs fail or crawl; exit code 1 if "
                 "something would",
                 {"penstock doctor", "penstock doctor -o json"},
                 [&context, format] { return Doctor(context, *format); });
  AddOutputFlag(command, *format);
}

}  // namespace penstock
