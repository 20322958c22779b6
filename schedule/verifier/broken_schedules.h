#ifndef PENSTOCK_SCHEDULE_VERIFIER_BROKEN_SCHEDULES_H_
#define PENSTOCK_SCHEDULE_VERIFIER_BROKEN_SCHEDULES_H_

#include <string>
#include <utility>
#include <vector>

#include "schedule/ir/schedule.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// What tests of the verifier break schedules with, as texts.

// PipeDream on two ranks: rank 0 reads its weights one update late.
extern const char kPipedreamText[];

// The schedule of a text; a failed expectation where it does not parse.
Schedule ReadSchedule(const std::string& text);

// What stands on the left, and what is put there instead.
using Edits = std::vector<std::pair<std::string, std::string>>;

// The text with each edit made where its left side stands first after the edit
// before it. A failed expectation where it does not.
std::string Edited(std::string text, const Edits& edits);

// "rule r1@3: message" of each violation.
std::vector<std::string> Lines(const std::vector<Violation>& violations);

// A case: a sound text, what is done to it, and part of a line that tells.
struct Broken {
  const char* base;
  Edits edits;
  const char* line;
};

// Expects the verifier to find it.
void ExpectFound(const Broken& broken);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_BROKEN_SCHEDULES_H_
