#ifndef PENSTOCK_SCHEDULE_VERIFIER_VERIFY_H_
#define PENSTOCK_SCHEDULE_VERIFIER_VERIFY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "schedule/ir/schedule.h"
#include "schedule/ir/text_places.h"
#include "schedule/verifier/memory_bound.h"
#include "schedule/verifier/violation.h"

namespace penstock {

struct VerifyOptions {
  // Whether communication, G, N, U and versions have been inserted: what a
  // stage server runs is lowered, what a generator makes is not.
  bool lowered = true;
  // None unless given.
  MemoryLimits memory;
};

// Everything that is wrong with the schedule, rule by rule: placement,
// complete, order, comm_pairing, deadlock_free, weight_version, staleness,
// accumulation_order, drained, update_complete, tied_weight, memory_bound (each
// in a header of its own, which says what it means). Empty: the schedule is
// sound, and every stage server that runs its list ends it.
//
// A continuous schedule is judged by two of its runs: one without a period and
// one with so many that the last of them meet nothing that the first did not
// (periods.h).
//
// Never stops at the first violation, but tells at most a hundred of a rule,
// and with a hundred of placement and complete leaves the other rules out.
// Takes any value, however broken. Pure; linear in the actions.
std::vector<Violation> Verify(const Schedule& schedule,
                              const VerifyOptions& options = {});

// What one rank can tell from its own list, the others being empty: all rules
// but deadlock_free, and of comm_pairing its own end. For a lowered schedule.
// A rank that the schedule does not have is a violation.
std::vector<Violation> VerifyRank(const Schedule& schedule, RankId rank);

// One violation in one line: "order: r1 action 3: 1B0 has no 1F0 before it".
std::string Summarize(const Violation& violation);

// Where it is in the file that the schedule was read from: "line 7, column 12".
// Of what is missing, the beginning of the list; of the schedule as a whole, of
// the file.
std::string PlaceOf(const Violation& violation, const TextPlaces& places);

// One violation for a person: `Summarize`, then, where it has a place, the grid
// with that cell marked.
std::string Describe(const Schedule& schedule, const Violation& violation);

// OK if there are no violations; else FAILED_PRECONDITION, which carries the
// first ten in one line each and describes the first.
absl::Status SoundOrError(const Schedule& schedule,
                          const std::vector<Violation>& violations);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_VERIFY_H_
