#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/render/progress_line.h"
#include "client/render/quantity.h"
#include "models/data/token_file.h"

namespace penstock {
namespace {

struct PrepareFlags {
  std::string text;
  std::string output;
};

// A bar for texts that take longer than a blink.
void ShowProgress(const Environment& environment, int64_t done_bytes,
                  int64_t total_bytes) {
  constexpr int64_t kWorthShowing = 64 << 20;
  if (!environment.err_is_terminal || total_bytes < kWorthShowing) return;
  const double fraction =
      static_cast<double>(done_bytes) / static_cast<double>(total_bytes);
  *environment.err << "\r" << Bar(fraction, 32) << " " << (done_bytes >> 20)
                   << " of " << (total_bytes >> 20) << " MiB\x1b[K"
                   << (done_bytes == total_bytes ? "\n" : "") << std::flush;
}

ExitCode Prepare(CommandContext& context, const PrepareFlags& flags) {
  const Environment& environment = context.environment();
  // A text from a pipe may never end; nothing is worth waiting for.
  const Interrupt::Registration stop = context.interrupt().OnTrip([&flags] {
    unlink(absl::StrCat(flags.output, ".tmp").c_str());
    _exit(static_cast<int>(ExitCode::kCancelled));
  });
  const absl::StatusOr<int64_t> tokens = PrepareTextFile(
      flags.text, flags.output, [&](int64_t done, int64_t total) {
        ShowProgress(environment, done, total);
      });
  if (absl::IsNotFound(tokens.status())) {
    return context.Fail(absl::InvalidArgumentError(tokens.status().message()));
  }
  if (!tokens.ok()) return context.Fail(tokens.status());
  *environment.out << flags.output << ": " << CountText(*tokens)
                   << " tokens (bytes, vocabulary " << kByteVocabulary << ")\n";
  return ExitCode::kOk;
}

}  // namespace

void AddData(Command app, CommandContext& context) {
  Command data =
      app.AddGroup("data", "Training data",
                   {"penstock data prepare --text book.txt -o book.bin"});
  const auto flags = std::make_shared<PrepareFlags>();
  Command command = AddCommand(
      data, context, "prepare",
      "Make a token file from a text: each byte is a token",
      {"penstock data prepare --text book.txt -o book.bin",
       "zcat book.gz | penstock data prepare --text /dev/stdin -o book.bin"},
      [&context, flags] { return Prepare(context, *flags); });
  command.AddOption("--text", flags->text, "The text to read")
      .Required()
      .TypeName("FILE");
  command.AddOption("-o,--out", flags->output, "The token file to write")
      .Required()
      .TypeName("FILE");
}

}  // namespace penstock
