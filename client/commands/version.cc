#include "base/version.h"

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"

namespace penstock {

void AddVersion(Command app, CommandContext& context) {
  const auto format = std::make_shared<OutputFormat>(OutputFormat::kText);
  Command command = AddCommand(
      app, context, "version", "Show this build's version",
      {"penstock version"}, [&context, format] {
        context.Print(*format, {{"version", kBuildVersion}},
                      absl::StrCat("penstock ", kBuildVersion, "\n"));
        return ExitCode::kOk;
      });
  AddOutputFlag(command, *format);
}

}  // namespace penstock
