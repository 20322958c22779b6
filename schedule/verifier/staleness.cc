#include "schedule/verifier/staleness.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Requires: b > 0.
int64_t DivideUp(int64_t a, int64_t b) {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

class RuleCheck {
 public:
  RuleCheck(const Schedule& schedule, RuleViolations& found)
      : schedule_(schedule), found_(found) {}

  void Run() {
    switch (schedule_.policy) {
      case WeightPolicy::kFlush:
        return;
      case WeightPolicy::kStash:
        return CheckStash();
      case WeightPolicy::kVertical:
        return CheckUniform(
            [&](int64_t m) { return DivideUp(schedule_.num_stages() - 1, m); });
      case WeightPolicy::kDoubleBuffer:
        CheckUniform([](int64_t) { return int64_t{1}; });
        return CheckPeriodIsLong(schedule_.num_stages() - 1);
      case WeightPolicy::kGrouped:
        CheckGrouped();
        return CheckPeriodIsLong((RanksOfPipeline() - 1) * Width());
    }
  }

 private:
  void Want(int stage, int64_t microbatches, int64_t delay) {
    const VersionRule& rule = schedule_.versions[stage];
    if (rule.microbatches_per_update == microbatches && rule.delay == delay) {
      return;
    }
    found_.Add(
        RankId(-1), -1,
        absl::StrCat("stage ", stage, " has version rule ",
                     rule.microbatches_per_update, "/", rule.delay, ", want ",
                     microbatches, "/", delay, " by the schedule's policy"));
  }

  void CheckStash() {
    int64_t later = 0;  // ranks of this and later stages
    for (const auto& holders : schedule_.placement) {
      later += static_cast<int64_t>(holders.size());
    }
    for (int stage = 0; stage < schedule_.num_stages(); ++stage) {
      const int64_t replicas =
          static_cast<int64_t>(schedule_.placement[stage].size());
      if (replicas == 0) continue;  // the rule "placement" tells
      int64_t delay = (later - 1) / replicas;
      if (replicas > 1 && schedule_.versions[stage].delay == delay + 1) ++delay;
      Want(stage, replicas, delay);
      later -= replicas;
    }
  }

  template <typename DelayOf>
  void CheckUniform(DelayOf delay_of) {
    if (schedule_.versions.empty()) return;
    const int64_t m = schedule_.versions[0].microbatches_per_update;
    for (int stage = 0; stage < schedule_.num_stages(); ++stage) {
      Want(stage, m, delay_of(m));
    }
  }

  // Whole pipelines side by side.
  int64_t Width() const {
    return schedule_.placement.empty()
               ? 1
               : std::max<int64_t>(
                     1, static_cast<int64_t>(schedule_.placement[0].size()));
  }
  int64_t RanksOfPipeline() const { return schedule_.num_ranks() / Width(); }

  void CheckGrouped() {
    const int64_t ranks = RanksOfPipeline();
    // Nothing to have a rule; other rules tell what is missing.
    if (schedule_.versions.empty() || ranks == 0) return;
    if (schedule_.num_stages() % ranks != 0) {
      found_.Add(RankId(-1), -1,
                 absl::StrCat(schedule_.num_stages(), " stages on ", ranks,
                              " ranks are no whole number of groups"));
      return;
    }
    const int64_t groups = schedule_.num_stages() / ranks;
    const int64_t m = schedule_.versions[0].microbatches_per_update;
    for (int stage = 0; stage < schedule_.num_stages(); ++stage) {
      const int64_t group = stage / ranks;
      const int64_t ahead =
          (groups - 1 - 2 * group) * m + (ranks - 1) * Width();
      Want(stage, m, std::max<int64_t>(0, DivideUp(ahead, groups * m)));
    }
  }

  void CheckPeriodIsLong(int64_t least) {
    if (schedule_.versions.empty()) return;
    const int64_t m = schedule_.versions[0].microbatches_per_update;
    if (m >= least) return;
    found_.Add(RankId(-1), -1,
               absl::StrCat(m, " microbatches per update, want at least ",
                            least, " by the schedule's policy"));
  }

  const Schedule& schedule_;
  RuleViolations& found_;
};

void CheckActions(const Subject& subject, RankId rank, RuleViolations& found) {
  const std::vector<Action>& actions = subject.actions(rank);
  for (size_t i = 0; i < actions.size() && !found.full(); ++i) {
    const Action& action = actions[i];
    if (!IsCompute(action.op) || !action.version ||
        !subject.IsPlaced(rank, action)) {
      continue;
    }
    const VersionRule& rule = subject.schedule().versions[action.stage.value()];
    const int first = action.microbatch.value();
    for (int b = first; b < first + action.num_microbatches; ++b) {
      const int64_t wanted = std::max<int64_t>(
          0, b / rule.microbatches_per_update - int64_t{rule.delay});
      if (*action.version == wanted) continue;
      found.Add(rank, static_cast<int>(i),
                absl::StrCat(subject.TextOf(action), " reads version ",
                             *action.version, ", want ", wanted,
                             " by the stage's rule"));
      break;
    }
  }
}

}  // namespace

void CheckStaleness(const Subject& subject, std::vector<Violation>* all) {
  if (!subject.schedule().is_continuous()) return;
  RuleViolations found("staleness", all);
  RuleCheck(subject.schedule(), found).Run();
  for (const RankId rank : subject.ranks()) CheckActions(subject, rank, found);
}

}  // namespace penstock
