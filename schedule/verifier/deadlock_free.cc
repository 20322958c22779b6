#include "schedule/verifier/deadlock_free.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "schedule/verifier/list_run.h"

namespace penstock {
namespace {

std::string Describe(const Subject& subject, const StuckRank& wait) {
  const std::string text =
      subject.TextOf(subject.actions(wait.rank)[wait.position]);
  if (!subject.Exists(wait.on)) {
    return absl::StrCat("r", wait.rank.value(), " at ", text, " waits for ",
                        wait.what, " that no rank holds");
  }
  return absl::StrCat("r", wait.rank.value(), " at ", text, " waits for ",
                      wait.what, " of r", wait.on.value(),
                      wait.may_come ? "" : ", which never comes");
}

// Follows the waits from `first` until they close a circle, or end at a rank
// that will never do what is wanted. Marks those that it passes as told.
class WaitChain {
 public:
  WaitChain(const Subject& subject, const std::vector<StuckRank>& waits)
      : subject_(subject), wait_of_(subject.schedule().num_ranks(), -1) {
    for (size_t i = 0; i < waits.size(); ++i) {
      wait_of_[waits[i].rank.value()] = static_cast<int>(i);
    }
    told_.resize(waits.size(), false);
    for (size_t i = 0; i < waits.size(); ++i) {
      if (!told_[i]) Follow(waits, static_cast<int>(i));
    }
  }

  struct Chain {
    // Where to point: the first wait of the circle, or the last of the chain.
    int wait = 0;
    std::string text;
  };
  const std::vector<Chain>& chains() const { return chains_; }

 private:
  void Follow(const std::vector<StuckRank>& waits, int first) {
    std::vector<int> path;
    int at = first;
    while (at >= 0 && !told_[at]) {
      told_[at] = true;
      path.push_back(at);
      at = waits[at].may_come && subject_.Exists(waits[at].on)
               ? wait_of_[waits[at].on.value()]
               : -1;
    }
    size_t begin = path.size() - 1;
    std::string text;
    if (at >= 0) {
      begin = 0;
      while (begin < path.size() && path[begin] != at) ++begin;
      if (begin == path.size()) return;  // it leads to a chain told before
      text = "wait cycle: ";
    }
    for (size_t i = begin; i < path.size(); ++i) {
      absl::StrAppend(&text, i == begin ? "" : "; ",
                      Describe(subject_, waits[path[i]]));
    }
    chains_.push_back({path[begin], std::move(text)});
  }

  const Subject& subject_;
  std::vector<int> wait_of_;
  std::vector<bool> told_;
  std::vector<Chain> chains_;
};

}  // namespace

void CheckDeadlockFree(const Subject& subject, std::vector<Violation>* all) {
  RuleViolations found("deadlock_free", all);
  const ListRunResult result = RunLists(subject);
  const WaitChain waits(subject, result.stuck);
  for (const auto& chain : waits.chains()) {
    const StuckRank& wait = result.stuck[chain.wait];
    found.Add(wait.rank, wait.position, chain.text);
  }
  for (const int capacity : {0, 1}) {
    for (const auto& [rank, position] : result.incomplete[capacity]) {
      found.Add(rank, position,
                absl::StrCat(subject.TextOf(subject.actions(rank)[position]),
                             " never completes where a channel holds ",
                             capacity, " messages"));
    }
  }
}

}  // namespace penstock
