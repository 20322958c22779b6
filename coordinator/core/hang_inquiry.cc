#include "coordinator/core/hang_inquiry.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/hang_report.h"
#include "coordinator/core/run_window.h"
#include "schedule/ir/schedule_proto.h"

namespace penstock {
namespace {

std::string PlaceOf(const JobRecord& job, int rank,
                    const ServerRecord& server) {
  const std::vector<int> stages = StagesOf(job, rank);
  return absl::StrCat(stages.size() == 1 ? "stage " : "stages ",
                      absl::StrJoin(stages, " and "), " on ",
                      server.info.name());
}

// Empty for a server that is heard as often as it should be.
std::string SilenceOf(const ServerRecord& server, Turn& turn) {
  const absl::Duration silent = turn.now() - server.last_heard;
  if (server.session != 0 && silent < 2 * turn.state().timing.heartbeat) {
    return "";
  }
  return absl::StrCat(
      "has not been heard for ",
      absl::FormatDuration(absl::Trunc(silent, absl::Milliseconds(100))));
}

HangReport Explain(const Schedule& schedule, const Job& job,
                   const std::vector<RankEvidence>& ranks, int first) {
  if (!schedule.is_continuous()) return ExplainHang(schedule, ranks, first);
  const absl::StatusOr<RunWindow> window =
      WindowOfRun(schedule, job.steps(), ranks, job.evaluation().every_steps());
  if (!window.ok()) return ExplainHang(schedule, ranks, first);
  return ExplainHang(window->schedule, window->ranks, first, window->begin);
}

void Conclude(JobRecord& job, Turn& turn) {
  const HangInquiry hang = *std::exchange(job.hang, std::nullopt);
  if (!job.plan) return;
  const absl::StatusOr<Schedule> schedule = FromProto(job.plan->schedule());
  if (!schedule.ok()) return;
  std::vector<RankEvidence> ranks;
  for (int rank = 0; rank < static_cast<int>(job.ranks.size()); ++rank) {
    const ServerRecord& server =
        turn.state().servers.at(job.ranks[rank].server_id);
    RankEvidence& evidence = ranks.emplace_back();
    evidence.place = PlaceOf(job, rank, server);
    const auto answer = hang.answers.find(rank);
    if (answer == hang.answers.end()) {
      evidence.silence = SilenceOf(server, turn);
    } else {
      evidence.at = answer->second;
    }
    evidence.finished_step = job.info.latest().step();
    const auto& pending = job.ranks[rank].pending_steps;
    if (!pending.empty()) evidence.finished_step = pending.rbegin()->first;
  }
  const HangReport report =
      Explain(*schedule, job.info.job(), ranks, hang.first_rank);
  turn.Note("JOB_HANG", report.text, &job, nullptr);
  turn.Explain(job, report.text);
  turn.Touch(job);
}

}  // namespace

void BeginInquiry(JobRecord& job, int rank, const MissingAction& missing,
                  Turn& turn) {
  job.hang.emplace();
  job.hang->first_rank = rank;
  job.hang->until = turn.now() + kInquiryTime;
  AddAnswer(job, rank, missing, turn);
}

void AddAnswer(JobRecord& job, int rank,
               const std::optional<MissingAction>& missing, Turn& turn) {
  if (!job.hang.has_value()) return;
  job.hang->answers.emplace(rank, missing);
  if (job.hang->answers.size() == job.ranks.size()) Conclude(job, turn);
}

void EndOverdueInquiries(Turn& turn) {
  for (auto& [id, job] : turn.state().jobs) {
    if (job.hang.has_value() && turn.now() >= job.hang->until) {
      Conclude(job, turn);
    }
  }
}

}  // namespace penstock
