#include "schedule/generators/version_walk.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

namespace penstock {
namespace {

class Walk {
 public:
  Walk(const Schedule& schedule, const RankLists& run,
       const std::function<int64_t(const Action&)>& cost)
      : schedule_(schedule),
        run_(run),
        cost_(cost),
        heads_(run.size()),
        clocks_(run.size()) {}

  std::optional<int64_t> Run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t rank = 0; rank < run_.size(); ++rank) {
        while (heads_[rank] < run_[rank].size() && Advance(rank)) moved = true;
      }
    }
    for (size_t rank = 0; rank < run_.size(); ++rank) {
      if (heads_[rank] < run_[rank].size()) return std::nullopt;
    }
    return *std::max_element(clocks_.begin(), clocks_.end());
  }

 private:
  // When the F or backward of (stage, microbatch) ended; 0 for stages outside
  // the chain; nullopt if it has not.
  std::optional<int64_t> EndOf(bool forward, int stage, int microbatch) const {
    if (stage < 0 || stage == schedule_.num_stages()) return 0;
    const auto end = ends_.find({{forward, stage}, microbatch});
    if (end == ends_.end()) return std::nullopt;
    return end->second;
  }

  // When the weights that the F reads were there.
  std::optional<int64_t> VersionTime(const Action& action) const {
    const int per_update =
        schedule_.versions[action.stage.value()].microbatches_per_update;
    const size_t needed = static_cast<size_t>(per_update) *
                          VersionOf(schedule_, action.stage, action.microbatch);
    int64_t time = 0;
    for (size_t b = 0; b < needed; ++b) {
      const auto end = EndOf(false, action.stage.value(), static_cast<int>(b));
      if (!end) return std::nullopt;
      time = std::max(time, *end);
    }
    return time;
  }

  bool Advance(size_t rank) {
    const Action& action = run_[rank][heads_[rank]];
    const bool forward = action.op == Op::kForward;
    const int stage = action.stage.value(), b = action.microbatch.value();
    const auto input = EndOf(forward, forward ? stage - 1 : stage + 1, b);
    const auto version = forward ? VersionTime(action) : EndOf(true, stage, b);
    if (!input || !version) return false;
    clocks_[rank] = std::max({clocks_[rank], *input, *version}) + cost_(action);
    ends_[{{forward, stage}, b}] = clocks_[rank];
    ++heads_[rank];
    return true;
  }

  const Schedule& schedule_;
  const RankLists& run_;
  const std::function<int64_t(const Action&)>& cost_;
  std::vector<size_t> heads_;
  std::vector<int64_t> clocks_;
  std::map<std::pair<std::pair<bool, int>, int>, int64_t> ends_;
};

}  // namespace

int VersionOf(const Schedule& schedule, StageId stage,
              MicrobatchId microbatch) {
  const VersionRule& rule = schedule.versions[stage.value()];
  return std::max(
      0, microbatch.value() / rule.microbatches_per_update - rule.delay);
}

int MaxVersionsAlive(const Schedule& schedule, StageId stage,
                     const std::vector<Action>& actions) {
  const int per_update =
      schedule.versions[stage.value()].microbatches_per_update;
  // By version: its last reader; by update: its last backward. Places in the
  // list.
  std::map<int, size_t> last_read;
  std::map<int, size_t> last_backward;
  for (size_t i = 0; i < actions.size(); ++i) {
    const Action& action = actions[i];
    if (action.stage != stage) continue;
    last_read[VersionOf(schedule, stage, action.microbatch)] = i;
    if (action.op != Op::kForward) {
      last_backward[action.microbatch.value() / per_update] = i;
    }
  }
  size_t most = 1;
  for (const auto& [update, place] : last_backward) {
    size_t alive = 1;  // the one that this update publishes
    for (int version = 0; version <= update; ++version) {
      const auto read = last_read.find(version);
      if (read != last_read.end() && read->second > place) ++alive;
    }
    most = std::max(most, alive);
  }
  return static_cast<int>(most);
}

std::optional<int64_t> RunTime(
    const Schedule& schedule, const RankLists& run,
    const std::function<int64_t(const Action&)>& cost) {
  return Walk(schedule, run, cost).Run();
}

}  // namespace penstock
