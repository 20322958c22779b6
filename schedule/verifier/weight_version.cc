#include "schedule/verifier/weight_version.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// The versions of one stage on one rank.
struct StageVersions {
  int64_t newest = 0;
  // Those that something reads, with the place of the last reader; those that
  // are over are dropped at the next update.
  std::map<int64_t, size_t> last_read;
};

// One rank's list of a continuous schedule.
class VersionCheck {
 public:
  VersionCheck(const Subject& subject, RankId rank, RuleViolations& found)
      : subject_(subject),
        rank_(rank),
        actions_(subject.actions(rank)),
        found_(found) {}

  void Run() {
    for (size_t i = 0; i < actions_.size(); ++i) {
      const Action& action = actions_[i];
      if (IsCompute(action.op) && action.version &&
          subject_.IsOwn(rank_, action)) {
        stages_[action.stage].last_read[*action.version] = i;
      }
    }
    for (size_t i = 0; i < actions_.size() && !found_.full(); ++i) {
      if (!subject_.IsOwn(rank_, actions_[i])) continue;
      if (IsCompute(actions_[i].op)) {
        CheckRead(i);
      } else if (actions_[i].op == Op::kUpdate) {
        CheckUpdate(i);
      } else if (actions_[i].op == Op::kReduceGradient &&
                 !actions_[i].version) {
        Fail(i, "names no version; want the one that its update makes");
      }
    }
  }

 private:
  void Fail(size_t position, absl::string_view why) {
    found_.Add(rank_, static_cast<int>(position),
               absl::StrCat(subject_.TextOf(actions_[position]), " ", why));
  }

  void CheckRead(size_t i) {
    const Action& action = actions_[i];
    if (!action.version) {
      if (subject_.lowered()) Fail(i, "names no version");
      return;
    }
    if (action.op != Op::kForward) CheckAgainstForward(i);
    const int64_t newest = stages_[action.stage].newest;
    if (subject_.lowered() && *action.version > newest) {
      Fail(i, absl::StrCat("reads a version that no update before it makes; "
                           "the newest there is ",
                           newest));
    }
  }

  void CheckAgainstForward(size_t i) {
    const Action& action = actions_[i];
    const int forward =
        subject_.CellOf(action.stage, action.microbatch.value()).forward;
    if (forward < 0 || actions_[forward].version == action.version) return;
    Fail(i, absl::StrCat("reads another version than ",
                         subject_.TextOf(actions_[forward])));
  }

  void CheckUpdate(size_t i) {
    const Action& action = actions_[i];
    if (!action.version)
      return Fail(i, "names no version; want the one it makes");
    StageVersions& versions = stages_[action.stage];
    versions.newest = *action.version;
    auto& last_read = versions.last_read;
    for (auto it = last_read.begin(); it != last_read.end();) {
      it = it->second < i ? last_read.erase(it) : std::next(it);
    }
    int64_t alive = 1;
    for (auto it = last_read.begin();
         it != last_read.end() && it->first < versions.newest; ++it) {
      ++alive;
    }
    const int64_t kept =
        int64_t{subject_.schedule().versions[action.stage.value()].delay} + 1;
    if (alive > kept) {
      Fail(i, absl::StrCat(
                  "makes version ", versions.newest, " while ", alive - 1,
                  " older ones are still read; want at most ", kept, " alive"));
    }
  }

  const Subject& subject_;
  const RankId rank_;
  const std::vector<Action>& actions_;
  RuleViolations& found_;
  std::map<StageId, StageVersions> stages_;
};

void CheckFlush(const Subject& subject, RankId rank, RuleViolations& found) {
  const std::vector<Action>& actions = subject.actions(rank);
  for (size_t i = 0; i < actions.size() && !found.full(); ++i) {
    const int64_t only = IsCompute(actions[i].op) ? 0 : 1;
    if (actions[i].version.value_or(only) == only) continue;
    found.Add(rank, static_cast<int>(i),
              absl::StrCat(subject.TextOf(actions[i]),
                           ": a flush leaves one version; want none named"));
  }
}

}  // namespace

void CheckWeightVersion(const Subject& subject, std::vector<Violation>* all) {
  RuleViolations found("weight_version", all);
  for (const RankId rank : subject.ranks()) {
    if (subject.schedule().is_continuous()) {
      VersionCheck(subject, rank, found).Run();
    } else {
      CheckFlush(subject, rank, found);
    }
  }
}

}  // namespace penstock
