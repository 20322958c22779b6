#ifndef PENSTOCK_SCHEDULE_IR_TEXT_FORMAT_H_
#define PENSTOCK_SCHEDULE_IR_TEXT_FORMAT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// Schedules and actions as text. docs/schedule_format.md holds the grammar and
// is normative. Pure functions; equal arguments give equal answers.

// "F", "SF", ...: the op's letters, the only spelling.
absl::string_view ToString(Op op);

// "flush", "stash", "vertical", "double_buffer", "grouped".
absl::string_view ToString(WeightPolicy policy);
// "ascending", "descending", "as_listed".
absl::string_view ToString(AccumulationOrder order);

// "2F0", "3F5@1", "0F2+3", "0B2.1", "0SF3[h3>r1]", "3SB*[wte>r0]", "0U@4", "N";
// the first of a pair ends with "&".
//
// `edges` are those of the action's schedule. A communication action names its
// tensor; where the name and the action's stage do not single out one edge, the
// edge's index follows ("h3#4"), and where the index is not in `edges` it
// stands alone ("#4"), which does not parse. Compute actions need no edges.
std::string ToString(const Action& action, absl::Span<const Edge> edges = {});

// Inverse of `ToString`, for exactly the texts that it prints.
// INVALID_ARGUMENT, quoting `text`, with column and what was expected, if it is
// no action or names no edge of `edges`.
absl::StatusOr<Action> ParseAction(absl::string_view text,
                                   absl::Span<const Edge> edges = {});

// The schedule as a file. The coordinator hashes this text, so equal schedules
// print equally on every machine.
// Requires: names of 1 to 1000 letters, digits and _ . / : - (schedule,
// tensors), numbers >= 0, edge indices in range, and a continuous schedule's
// rules for each stage and its three parts with equally many ranks (or the
// first alone: a run written out), as every schedule from `ParseSchedule`, from
// proto or from a generator has.
std::string PrintSchedule(const Schedule& schedule);

// Reads a file: ParseSchedule(PrintSchedule(s)) == s, and printing what was
// parsed gives the same text but for comments, blank lines and blanks.
// Checks the grammar only; the verifier says whether the schedule is sound.
// Time and memory are linear in `text`, which may be hostile: an action takes
// two characters or more of it and 32 bytes.
//   INVALID_ARGUMENT  "line 7, column 12: expected ..., got ..."; also for
//                     more than a million stages, edges or ranks.
absl::StatusOr<Schedule> ParseSchedule(absl::string_view text);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_TEXT_FORMAT_H_
