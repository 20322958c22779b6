#include "schedule/verifier/drained.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// The place of a rank's flush: its first N, else the end of its list.
size_t FlushOf(const std::vector<Action>& actions) {
  return std::find_if(actions.begin(), actions.end(),
                      [](const Action& a) { return a.op == Op::kAgreeNorm; }) -
         actions.begin();
}

// Whether the whole backward of the cell stands before `flush`.
bool IsDone(const Cell& cell, size_t flush) {
  const auto stands = [flush](int position) {
    return position >= 0 && static_cast<size_t>(position) < flush;
  };
  return std::all_of(cell.backward.begin(), cell.backward.end(), stands) &&
         std::all_of(cell.weight.begin(), cell.weight.end(), stands);
}

}  // namespace

void CheckDrained(const Subject& subject, std::vector<Violation>* all) {
  RuleViolations found("drained", all);
  for (const RankId rank : subject.ranks()) {
    const std::vector<Action>& actions = subject.actions(rank);
    const size_t flush = FlushOf(actions);
    int in_flight = 0;
    std::string first;
    for (size_t i = 0; i < flush; ++i) {
      const Action& action = actions[i];
      if (action.op != Op::kForward || !subject.IsOwn(rank, action)) continue;
      const int begin = action.microbatch.value();
      for (int b = begin; b < begin + action.num_microbatches; ++b) {
        if (IsDone(subject.CellOf(action.stage, b), flush)) continue;
        if (in_flight++ == 0) {
          first = ToString(Forward(action.stage, MicrobatchId(b)));
        }
      }
    }
    if (in_flight == 0) continue;
    const bool at_end = flush == actions.size();
    found.Add(rank, at_end ? -1 : static_cast<int>(flush),
              absl::StrCat(at_end ? "the list ends" : "N stands", " with ",
                           in_flight, " in flight, first ", first));
  }
}

}  // namespace penstock
