#include "schedule/verifier/verify.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "schedule/ir/grid.h"
#include "schedule/verifier/comm_pairing.h"
#include "schedule/verifier/complete.h"
#include "schedule/verifier/deadlock_free.h"
#include "schedule/verifier/order.h"
#include "schedule/verifier/placement.h"
#include "schedule/verifier/subject.h"

namespace penstock {
namespace {

constexpr size_t kMostTold = 10;

std::string LineOf(const Violation& violation) {
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

}  // namespace

std::vector<Violation> Verify(const Schedule& schedule,
                              const VerifyOptions& options) {
  std::vector<Violation> violations;
  const Subject subject(schedule, std::nullopt, options.lowered);
  CheckPlacement(subject, &violations);
  CheckComplete(subject, &violations);
  CheckOrder(subject, &violations);
  CheckCommPairing(subject, &violations);
  CheckDeadlockFree(subject, &violations);
  return violations;
}

std::vector<Violation> VerifyRank(const Schedule& schedule, RankId rank) {
  std::vector<Violation> violations;
  const Subject subject(schedule, rank, /*lowered=*/true);
  if (!subject.Exists(rank)) {
    return {{"placement", rank, -1,
             absl::StrCat("there is no rank ", rank.value(), " of ",
                          schedule.num_ranks())}};
  }
  CheckPlacement(subject, &violations);
  CheckComplete(subject, &violations);
  CheckOrder(subject, &violations);
  CheckCommPairing(subject, &violations);
  return violations;
}

std::string Describe(const Schedule& schedule, const Violation& violation) {
  std::string text = absl::StrCat(LineOf(violation), "\n");
  if (violation.rank.value() >= 0 && violation.position >= 0) {
    absl::StrAppend(
        &text, PrintMarkedGrid(schedule, {violation.rank, violation.position}));
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
    absl::StrAppend(&message, LineOf(violations[i]), "\n");
  }
  if (violations.size() > kMostTold) {
    absl::StrAppend(&message, "... and ", violations.size() - kMostTold,
                    " more\n");
  }
  return absl::FailedPreconditionError(message);
}

}  // namespace penstock
