#include "client/commands/run_record.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/render/job_view.h"
#include "client/render/loss_curve.h"

namespace penstock {
namespace {

std::string LossCurvePath(const std::string& folder) {
  return absl::StrCat(folder, "/loss.svg");
}

std::string TimelinePath(const std::string& folder) {
  return absl::StrCat(folder, "/timeline.svg");
}

nlohmann::ordered_json SummaryJson(const FollowedJob& followed,
                                   const std::string& folder) {
  nlohmann::ordered_json json = JobInfoToJson(followed.info);
  if (!folder.empty()) {
    json["run_folder"] = folder;
    json["loss_curve"] = LossCurvePath(folder);
    if (!followed.timeline_svg.empty()) {
      json["timeline"] = TimelinePath(folder);
    }
  }
  return json;
}

}  // namespace

absl::Status WriteRunRecord(const std::string& folder,
                            const FollowedJob& followed) {
  PENSTOCK_RETURN_IF_ERROR(MakeFolder(folder));
  PENSTOCK_RETURN_IF_ERROR(WriteFileAtomically(
      LossCurvePath(folder),
      LossCurveSvg(absl::StrCat(followed.info.job().name(), " (",
                                followed.info.id(), ")"),
                   followed.losses)));
  if (!followed.timeline_svg.empty()) {
    PENSTOCK_RETURN_IF_ERROR(
        WriteFileAtomically(TimelinePath(folder), followed.timeline_svg));
  }
  return WriteFileAtomically(
      absl::StrCat(folder, "/job.json"),
      absl::StrCat(SummaryJson(followed, folder)
                       .dump(2, ' ', false,
                             nlohmann::ordered_json::error_handler_t::replace),
                   "\n"));
}

void PrintSummary(const CommandContext& context, OutputFormat format,
                  const FollowedJob& followed, const std::string& folder) {
  std::string text = JobSummary(followed.info);
  if (!folder.empty()) {
    if (!followed.losses.empty()) {
      absl::StrAppend(&text, "  loss curve  ", LossCurvePath(folder), "\n");
    }
    if (!followed.timeline_svg.empty()) {
      absl::StrAppend(&text, "  timeline    ", TimelinePath(folder), "\n");
    }
    absl::StrAppend(&text, "  run folder  ", folder, "\n");
  }
  context.Print(format, SummaryJson(followed, folder), text);
}

ExitCode FollowedExitCode(const CommandContext& context,
                          const FollowedJob& followed) {
  if (IsTerminal(followed.info.state())) {
    return ExitCodeOf(followed.info.state());
  }
  if (absl::IsCancelled(followed.status)) {
    *context.environment().err
        << "penstock: stopped watching; job " << followed.info.id()
        << " goes on. End it with `penstock cancel " << followed.info.id()
        << "`\n";
    return ExitCode::kStreamLost;
  }
  return context.Fail(followed.status);
}

}  // namespace penstock
