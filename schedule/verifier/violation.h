#ifndef PENSTOCK_SCHEDULE_VERIFIER_VIOLATION_H_
#define PENSTOCK_SCHEDULE_VERIFIER_VIOLATION_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace penstock {

// One way in which a schedule is unsound.
struct Violation {
  // "complete", "order", ...; verify.h names them all.
  std::string rule;
  // -1: the schedule as a whole.
  RankId rank;
  // Index in the rank's list (of a continuous schedule: prologue, `periods`
  // times the period, epilogue, as one list); -1: the list as a whole, where
  // what is wrong is that something is missing.
  int position = -1;
  std::string message;
  int periods = 0;

  friend bool operator==(const Violation&, const Violation&) = default;
};

// What one rule finds. Keeps the first hundred: rubbish of any size gives a
// short answer.
class RuleViolations {
 public:
  RuleViolations(absl::string_view rule, std::vector<Violation>* all)
      : rule_(rule), all_(all) {}

  // Adds a violation, unless the hundred are full.
  void Add(RankId rank, int position, std::string message) {
    if (count_ == kMost) return;
    if (++count_ == kMost) message += " (further ones are left out)";
    all_->push_back({rule_, rank, position, std::move(message)});
  }
  // Whether further ones would be left out, so that looking on is no use.
  bool full() const { return count_ == kMost; }

 private:
  static constexpr int kMost = 100;

  std::string rule_;
  std::vector<Violation>* all_;
  int count_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_VERIFIER_VIOLATION_H_
