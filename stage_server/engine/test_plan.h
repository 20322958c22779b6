#ifndef PENSTOCK_STAGE_SERVER_ENGINE_TEST_PLAN_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_TEST_PLAN_H_

#include <string>
#include <vector>

#include "proto/plan.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// A plan for a GPT of one block, embedding and head tied, cut in two before
// "head": stage 0 on rank 0, stage 1 on rank 1, two microbatches of one sample
// of 8 tokens, SGD. Every list is there. Written out here, since tests beside
// the engine have no generators.
Plan TwoRankPlan(const std::string& token_path);

// The schedule of `TwoRankPlan` as text: to be changed and parsed.
std::string TwoRankScheduleText();

// The same model on one rank: stages 0 and 1 both on rank 0.
Plan OneRankPlan(const std::string& token_path);

// `plan` with this schedule, given as text. Requires: it parses.
Plan WithSchedule(Plan plan, const std::string& text);

// Writes 2000 tokens below 16 to a new file called `name`; its path.
std::string WriteTokens(const std::string& name);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_TEST_PLAN_H_
