#include "client/render/restart_view.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/render/quantity.h"
#include "client/render/table.h"

namespace penstock {
namespace {

using nlohmann::ordered_json;

constexpr double kSecondsPerMillisecond = 1e-3;

std::string CauseText(RestartCause cause) {
  return absl::AsciiStrToLower(
      absl::StripPrefix(RestartCause_Name(cause), "RESTART_CAUSE_"));
}

std::string StartText(const RestartReport& report) {
  if (!report.phases().has_decide()) return "";
  if (!report.has_start()) return "the beginning";
  if (report.start().in_memory()) {
    return absl::StrCat("step ", report.from_step(), ", memory");
  }
  if (report.start().weights_only()) return "the weights given";
  return absl::StrCat("step ", report.from_step());
}

std::string PhaseText(bool is_known, double milliseconds) {
  return is_known ? SecondsText(kSecondsPerMillisecond * milliseconds) : "";
}

ordered_json PhaseOrNull(bool is_known, double milliseconds) {
  return is_known ? ordered_json(milliseconds) : ordered_json(nullptr);
}

ordered_json PhasesToJson(const RestartReport::Phases& phases) {
  return {{"detect_ms", PhaseOrNull(phases.has_detect(), phases.detect())},
          {"decide_ms", PhaseOrNull(phases.has_decide(), phases.decide())},
          {"place_ms", PhaseOrNull(phases.has_place(), phases.place())},
          {"load_ms", PhaseOrNull(phases.has_load(), phases.load())},
          {"connect_ms", PhaseOrNull(phases.has_connect(), phases.connect())},
          {"recompute_ms",
           PhaseOrNull(phases.has_recompute(), phases.recompute())}};
}

ordered_json ReportToJson(const RestartReport& report) {
  return {{"epoch", report.epoch()},
          {"stages", report.stages()},
          {"cause", CauseText(report.cause())},
          {"evidence", report.evidence()},
          {"server", report.server_name()},
          {"server_id", report.server_id()},
          {"began", StableTimeText(report.began_unix_nanos())},
          {"at_step", report.at_step()},
          {"from", StartText(report)},
          {"from_step", report.from_step()},
          {"steps_lost", report.steps_lost()},
          {"phases", PhasesToJson(report.phases())},
          {"is_over", report.is_over()}};
}

}  // namespace

std::string RestartsText(const JobInfo& info) {
  if (info.restart_count() == 0) return "";
  std::string text = absl::StrCat(info.restart_count());
  if (info.restarts().empty()) return text;
  const RestartReport& last = *info.restarts().rbegin();
  absl::StrAppend(&text, info.restart_count() == 1 ? "," : ", the last",
                  " after step ", last.at_step(), ": ", last.evidence());
  return text;
}

std::string RestartTable(const JobInfo& info, absl::TimeZone zone) {
  if (info.restarts().empty()) return "";
  std::vector<std::vector<std::string>> rows;
  std::string reasons;
  for (const RestartReport& report : info.restarts()) {
    const RestartReport::Phases& phases = report.phases();
    rows.push_back(
        {absl::StrCat(report.epoch()),
         TimeText(report.began_unix_nanos(), zone), CauseText(report.cause()),
         absl::StrCat(report.at_step()), StartText(report),
         phases.has_decide() ? absl::StrCat(report.steps_lost()) : "",
         PhaseText(phases.has_detect(), phases.detect()),
         PhaseText(phases.has_decide(), phases.decide()),
         PhaseText(phases.has_place(), phases.place()),
         PhaseText(phases.has_load(), phases.load()),
         PhaseText(phases.has_connect(), phases.connect()),
         PhaseText(phases.has_recompute(), phases.recompute())});
    absl::StrAppend(&reasons, "epoch ", report.epoch(),
                    " ended: ", report.evidence(), "\n");
  }
  return absl::StrCat(
      RenderTable({"EPOCH", "ENDED", "CAUSE", "AT", "FROM", "LOST", "DETECT",
                   "DECIDE", "PLACE", "LOAD", "CONNECT", "RECOMPUTE"},
                  rows),
      reasons);
}

ordered_json RestartsToJson(const JobInfo& info) {
  ordered_json newest = ordered_json::array();
  for (const RestartReport& report : info.restarts()) {
    newest.push_back(ReportToJson(report));
  }
  return {{"count", info.restart_count()},
          {"in_row", info.restarts_in_row()},
          {"newest", std::move(newest)}};
}

}  // namespace penstock
