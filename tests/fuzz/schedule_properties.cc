#include "tests/fuzz/schedule_properties.h"

#include <google/protobuf/stubs/logging.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/schedule.pb.h"
#include "schedule/ir/grid.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/ir/text_format.h"
#include "schedule/ir/unroll.h"
#include "schedule/verifier/verify.h"

namespace penstock {
namespace {

constexpr size_t kLongestMessage = 5000;

absl::Status Broken(absl::string_view what, const Schedule& schedule) {
  return absl::InternalError(absl::StrCat(what, "\n", PrintSchedule(schedule)));
}

// A refusal is one that a person can use.
absl::Status CheckRefusal(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kInvalidArgument &&
      !status.message().empty() && status.message().size() < kLongestMessage) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("refused in another way: ", status.ToString()));
}

absl::Status CheckVerifier(const Schedule& schedule, bool lowered) {
  const std::vector<Violation> violations =
      Verify(schedule, {.lowered = lowered});
  if (violations.empty()) return absl::OkStatus();
  if (Describe(schedule, violations.back()).empty() ||
      SoundOrError(schedule, violations).ok()) {
    return Broken("violations without a description", schedule);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSchedule(const Schedule& schedule) {
  const std::string text = PrintSchedule(schedule);
  const absl::StatusOr<Schedule> read = ParseSchedule(text);
  if (!read.ok()) return Broken(read.status().message(), schedule);
  if (*read != schedule) return Broken("parse(print(x)) is not x", schedule);
  if (PrintSchedule(*read) != text) {
    return Broken("print(parse(x)) is not x", schedule);
  }
  const absl::StatusOr<Schedule> sent = FromProto(ToProto(schedule));
  if (!sent.ok()) return Broken(sent.status().message(), schedule);
  if (*sent != schedule) return Broken("proto changes it", schedule);
  PENSTOCK_RETURN_IF_ERROR(CheckVerifier(schedule, /*lowered=*/false));
  PENSTOCK_RETURN_IF_ERROR(CheckVerifier(schedule, /*lowered=*/true));
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    VerifyRank(schedule, RankId(rank));
  }
  if (PrintGrid(schedule).empty()) return Broken("no grid", schedule);
  const absl::StatusOr<Schedule> run = Unroll(schedule, 3);
  if (!run.ok()) return CheckRefusal(run.status());
  const absl::StatusOr<Schedule> read_run = ParseSchedule(PrintSchedule(*run));
  if (!read_run.ok()) return Broken(read_run.status().message(), schedule);
  if (*read_run != *run) return Broken("the run is read otherwise", schedule);
  return CheckVerifier(*run, /*lowered=*/true);
}

absl::Status CheckScheduleText(absl::string_view text, bool* accepted) {
  const absl::StatusOr<Schedule> schedule = ParseSchedule(text);
  if (accepted != nullptr) *accepted = schedule.ok();
  if (schedule.ok()) return CheckSchedule(*schedule);
  PENSTOCK_RETURN_IF_ERROR(CheckRefusal(schedule.status()));
  if (absl::StartsWith(schedule.status().message(), "line ") &&
      absl::StrContains(schedule.status().message(), ", column ")) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("refused without line and column: ",
                                          schedule.status().ToString()));
}

absl::Status CheckScheduleMessage(const std::string& bytes, bool* accepted) {
  const google::protobuf::LogSilencer silencer;
  wire::Schedule message;
  const bool parsed = message.ParseFromString(bytes);
  if (accepted != nullptr) *accepted = false;
  if (!parsed) return absl::OkStatus();
  const absl::StatusOr<Schedule> schedule = FromProto(message);
  if (!schedule.ok()) return CheckRefusal(schedule.status());
  if (accepted != nullptr) *accepted = true;
  return CheckSchedule(*schedule);
}

}  // namespace penstock
