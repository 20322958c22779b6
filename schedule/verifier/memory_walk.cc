#include "schedule/verifier/memory_walk.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace penstock {
namespace {

class MemoryWalk {
 public:
  MemoryWalk(const Subject& subject, RankId rank,
             const std::vector<StageBytes>& sizes)
      : subject_(subject),
        rank_(rank),
        actions_(subject.actions(rank)),
        sizes_(sizes) {}

  RankPeak Run() {
    bytes_ = AlwaysThere();
    peak_.bytes = bytes_;
    for (size_t i = 0; i < actions_.size(); ++i) {
      if (!IsCompute(actions_[i].op) || !subject_.IsOwn(rank_, actions_[i])) {
        continue;
      }
      Take(actions_[i]);
      Note(static_cast<int>(i));
    }
    peak_.in_flight = static_cast<double>(most_halves_) / 2 / Chunks();
    return peak_;
  }

 private:
  StageBytes SizeOf(StageId stage) const {
    return static_cast<size_t>(stage.value()) < sizes_.size()
               ? sizes_[stage.value()]
               : StageBytes();
  }

  int64_t AlwaysThere() const {
    const Schedule& schedule = subject_.schedule();
    int64_t bytes = 0;
    for (int s = 0; s < schedule.num_stages(); ++s) {
      if (!subject_.Holds(rank_, StageId(s))) continue;
      const int64_t versions = schedule.is_continuous()
                                   ? int64_t{schedule.versions[s].delay} + 1
                                   : 1;
      const StageBytes size = SizeOf(StageId(s));
      bytes += size.state + versions * size.weights;
    }
    return bytes;
  }

  // The most stages that the rank runs of one microbatch.
  int Chunks() const {
    std::vector<int> microbatches;
    for (const Action& action : actions_) {
      if (action.op != Op::kForward || !subject_.IsOwn(rank_, action)) continue;
      for (int k = 0; k < action.num_microbatches; ++k) {
        microbatches.push_back(action.microbatch.value() + k);
      }
    }
    std::sort(microbatches.begin(), microbatches.end());
    int most = 1, same = 0;
    for (size_t i = 0; i < microbatches.size(); ++i) {
      same = i > 0 && microbatches[i] == microbatches[i - 1] ? same + 1 : 1;
      most = std::max(most, same);
    }
    return most;
  }

  void Take(const Action& action) {
    const StageBytes size = SizeOf(action.stage);
    const Cell& cell = subject_.CellOf(action.stage, action.microbatch.value());
    if (action.op == Op::kForward) {
      halves_ += 2 * action.num_microbatches;
      for (int k = 0; k < action.num_microbatches; ++k) {
        const Cell& one =
            subject_.CellOf(action.stage, action.microbatch.value() + k);
        bytes_ += one.recompute < 0 ? size.activation : size.input;
      }
    } else if (action.op == Op::kRecompute) {
      bytes_ += size.activation - size.input;
    } else if (GivesWeightGradient(action.op)) {
      const bool whole = action.half == Half::kWhole;
      halves_ -= whole ? 2 : 1;
      // What the halves of a backward share goes with the last of them.
      const bool last =
          whole ||
          &actions_[std::max(cell.weight[0], cell.weight[1])] == &action;
      if (last) bytes_ -= size.activation;
    }
  }

  void Note(int position) {
    if (halves_ > most_halves_) {
      most_halves_ = halves_;
      peak_.in_flight_position = position;
    }
    if (bytes_ > peak_.bytes) {
      peak_.bytes = bytes_;
      peak_.bytes_position = position;
    }
  }

  const Subject& subject_;
  const RankId rank_;
  const std::vector<Action>& actions_;
  const std::vector<StageBytes>& sizes_;
  int64_t halves_ = 0;
  int64_t most_halves_ = 0;
  int64_t bytes_ = 0;
  RankPeak peak_;
};

}  // namespace

std::vector<RankPeak> WalkMemory(const Subject& subject,
                                 const std::vector<StageBytes>& sizes) {
  std::vector<RankPeak> peaks;
  for (const RankId rank : subject.ranks()) {
    peaks.push_back(MemoryWalk(subject, rank, sizes).Run());
  }
  return peaks;
}

}  // namespace penstock
