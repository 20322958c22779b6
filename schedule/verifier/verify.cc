#include "schedule/verifier/verify.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/grid.h"
#include "schedule/ir/unroll.h"
#include "schedule/verifier/accumulation_order.h"
#include "schedule/verifier/comm_pairing.h"
#include "schedule/verifier/complete.h"
#include "schedule/verifier/deadlock_free.h"
#include "schedule/verifier/drained.h"
#include "schedule/verifier/order.h"
#include "schedule/verifier/periods.h"
#include "schedule/verifier/placement.h"
#include "schedule/verifier/staleness.h"
#include "schedule/verifier/subject.h"
#include "schedule/verifier/tied_weight.h"
#include "schedule/verifier/update_complete.h"
#include "schedule/verifier/weight_version.h"

namespace penstock {
namespace {

constexpr size_t kMostTold = 10;

// Adds why the schedule, as a whole, cannot be judged by its runs.
void CheckSections(const Schedule& schedule, std::vector<Violation>* all) {
  RuleViolations found("placement", all);
  const RankId whole(-1);
  if (!schedule.is_continuous()) {
    if (schedule.period.empty() && schedule.epilogue.empty() &&
        schedule.versions.empty()) {
      return;
    }
    return found.Add(whole, -1,
                     "a flush has a period, an epilogue or version rules; want "
                     "one step alone");
  }
  if (schedule.num_microbatches < 1) {
    found.Add(whole, -1,
              absl::StrCat(schedule.num_microbatches,
                           " microbatches, want at least 1"));
  }
  if (schedule.versions.size() != schedule.placement.size()) {
    found.Add(whole, -1,
              absl::StrCat(schedule.versions.size(), " version rules, want ",
                           schedule.num_stages(), ", one for each stage"));
  }
  for (size_t s = 0; s < schedule.versions.size() && !found.full(); ++s) {
    const VersionRule& rule = schedule.versions[s];
    if (rule.microbatches_per_update >= 1 && rule.delay >= 0) continue;
    found.Add(whole, -1,
              absl::StrCat("stage ", s, " has version rule ",
                           rule.microbatches_per_update, "/", rule.delay,
                           ", want at least 1/0"));
  }
}

// The runs that stand for all: how often each repeats the period.
std::vector<int> RunsToVerify(const Schedule& schedule) {
  if (schedule.period.empty()) return {0};
  return {0, PeriodsToVerify(schedule)};
}

// The schedule to look at: a run written out, where there is a period.
class Run {
 public:
  Run(const Schedule& schedule, int periods) : schedule_(schedule) {
    if (schedule.period.empty() && schedule.epilogue.empty()) return;
    absl::StatusOr<Schedule> run = Unroll(schedule, periods);
    if (run.ok()) {
      written_out_ = *std::move(run);
    } else {
      status_ = run.status();
    }
  }

  const absl::Status& status() const { return status_; }
  const Schedule& operator*() const {
    return written_out_ ? *written_out_ : schedule_;
  }

 private:
  const Schedule& schedule_;
  std::optional<Schedule> written_out_;
  absl::Status status_;
};

// With as many, lists are rubbish, and what else is wrong with them helps
// nobody.
constexpr size_t kRubbish = 100;

void CheckRules(const Subject& subject, const VerifyOptions& options,
                bool all_ranks, std::vector<Violation>* all) {
  CheckPlacement(subject, all);
  CheckComplete(subject, all);
  if (all->size() >= kRubbish) return;
  CheckOrder(subject, all);
  CheckCommPairing(subject, all);
  CheckWeightVersion(subject, all);
  CheckStaleness(subject, all);
  CheckAccumulationOrder(subject, all);
  CheckDrained(subject, all);
  CheckUpdateComplete(subject, all);
  CheckTiedWeight(subject, all);
  CheckMemoryBound(subject, options.memory, all);
  if (all_ranks) CheckDeadlockFree(subject, all);
}

// Judges the runs of the schedule: all lists, or those of `only` alone.
std::vector<Violation> VerifyRuns(const Schedule& schedule,
                                  std::optional<RankId> only,
                                  const VerifyOptions& options) {
  std::vector<Violation> violations;
  CheckSections(schedule, &violations);
  if (!violations.empty()) return violations;
  for (const int periods : RunsToVerify(schedule)) {
    const Run run(schedule, periods);
    if (!run.status().ok()) {
      return {
          {"placement", RankId(-1), -1, std::string(run.status().message())}};
    }
    const Subject subject(*run, only, options.lowered);
    CheckRules(subject, options, /*all_ranks=*/!only, &violations);
    for (Violation& violation : violations) violation.periods = periods;
    if (!violations.empty()) break;
  }
  return violations;
}

}  // namespace

std::vector<Violation> Verify(const Schedule& schedule,
                              const VerifyOptions& options) {
  return VerifyRuns(schedule, std::nullopt, options);
}

std::vector<Violation> VerifyRank(const Schedule& schedule, RankId rank) {
  if (rank.value() < 0 || rank.value() >= schedule.num_ranks()) {
    return {{"placement", rank, -1,
             absl::StrCat("there is no rank ", rank.value(), " of ",
                          schedule.num_ranks())}};
  }
  return VerifyRuns(schedule, rank, {});
}

std::string Summarize(const Violation& violation) {
  std::string line = absl::StrCat(violation.rule, ": ");
  if (violation.rank.value() >= 0) {
    absl::StrAppend(&line, "r", violation.rank.value());
    if (violation.position >= 0) {
      absl::StrAppend(&line, " action ", violation.position);
    }
    line.append(": ");
  }
  return absl::StrCat(line, violation.message);
}

std::string PlaceOf(const Violation& violation, const TextPlaces& places) {
  const TextPlace place =
      places.Of(violation.rank, violation.position, violation.periods);
  return absl::StrCat("line ", place.line, ", column ", place.column);
}

std::string Describe(const Schedule& schedule, const Violation& violation) {
  std::string text = absl::StrCat(Summarize(violation), "\n");
  if (violation.rank.value() < 0 || violation.position < 0) return text;
  const Run run(schedule, violation.periods);
  if (run.status().ok()) {
    absl::StrAppend(
        &text, PrintMarkedGrid(*run, {violation.rank, violation.position}));
  }
  return text;
}

absl::Status SoundOrError(const Schedule& schedule,
                          const std::vector<Violation>& violations) {
  if (violations.empty()) return absl::OkStatus();
  std::string message =
      absl::StrCat("schedule ", schedule.name, " is unsound, ",
                   violations.size(), " violations. ");
  absl::StrAppend(&message, Describe(schedule, violations[0]));
  for (size_t i = 1; i < std::min(violations.size(), kMostTold); ++i) {
    absl::StrAppend(&message, Summarize(violations[i]), "\n");
  }
  if (violations.size() > kMostTold) {
    absl::StrAppend(&message, "... and ", violations.size() - kMostTold,
                    " more\n");
  }
  return absl::FailedPreconditionError(message);
}

}  // namespace penstock
