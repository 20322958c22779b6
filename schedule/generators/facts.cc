#include "schedule/generators/facts.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "schedule/ir/chain.h"
#include "schedule/ir/text_format.h"
#include "schedule/simulator/simulate.h"
#include "schedule/simulator/summary.h"

namespace penstock {
namespace {

// What has been done for one stage and microbatch, in halves.
struct Work {
  int rank = -1;
  int forwards = 0;
  int input_halves = 0;
  int weight_halves = 0;
};

using WorkByCell = std::map<std::pair<StageId, int>, Work>;

// False if the action comes too early.
bool Record(const Action& action, Work* work) {
  const int halves = action.half == Half::kWhole ? 2 : 1;
  switch (action.op) {
    case Op::kForward:
      work->forwards += 2;
      return true;
    case Op::kBackward:
      work->input_halves += halves;
      work->weight_halves += halves;
      return work->forwards == 2;
    case Op::kBackwardInput:
      work->input_halves += halves;
      return work->forwards == 2;
    case Op::kBackwardWeight:
      work->weight_halves += halves;
      return work->weight_halves <= work->input_halves;
    default:
      return work->forwards == 2;
  }
}

std::string FlawOfList(const Schedule& schedule, int rank, WorkByCell* cells) {
  for (const Action& action : schedule.ranks[rank]) {
    const auto& holders = schedule.placement.at(action.stage.value());
    if (std::find(holders.begin(), holders.end(), RankId(rank)) ==
        holders.end()) {
      return absl::StrCat("r", rank, " does not hold ", ToString(action));
    }
    for (int i = 0; i < action.num_microbatches; ++i) {
      Work& work = (*cells)[{action.stage, action.microbatch.value() + i}];
      if (work.rank < 0) work.rank = rank;
      if (work.rank != rank || !Record(action, &work)) {
        return absl::StrCat("r", rank, " is not ready for ", ToString(action));
      }
    }
  }
  return "";
}

}  // namespace

std::string ListText(const Schedule& schedule, int rank) {
  return absl::StrJoin(schedule.ranks[rank], " ",
                       [](std::string* out, const Action& action) {
                         out->append(ToString(action));
                       });
}

std::string Flaw(Schedule schedule) {
  WorkByCell cells;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const std::string flaw = FlawOfList(schedule, rank, &cells);
    if (!flaw.empty()) return flaw;
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    for (int b = 0; b < schedule.num_microbatches; ++b) {
      const Work work = cells[{StageId(stage), b}];
      if (work.forwards != 2 || work.input_halves != 2 ||
          work.weight_halves != 2) {
        return absl::StrCat("stage ", stage, " microbatch ", b,
                            " is not done once");
      }
    }
  }
  if (cells.size() != static_cast<size_t>(schedule.num_stages()) *
                          static_cast<size_t>(schedule.num_microbatches)) {
    return "a microbatch that is not in the step";
  }
  schedule.edges = ChainEdges(schedule.num_stages());
  const auto timeline = Simulate(schedule, UniformCosts(schedule, {}));
  return timeline.ok() ? "" : std::string(timeline.status().message());
}

Facts FactsOf(Schedule schedule, const UniformTimes& times) {
  schedule.edges = ChainEdges(schedule.num_stages());
  const auto timeline = Simulate(schedule, UniformCosts(schedule, times));
  EXPECT_TRUE(timeline.ok()) << timeline.status();
  if (!timeline.ok()) return {};
  const TimelineSummary summary = Summarise(schedule, *timeline);
  Facts facts{.makespan = summary.makespan,
              .sync_bubble = summary.sync_bubble,
              .span_bubble = summary.span_bubble,
              .least_peak = std::numeric_limits<double>::infinity()};
  for (const RankSummary& rank : summary.ranks) {
    facts.peak = std::max(facts.peak, rank.peak_in_flight);
    facts.least_peak = std::min(facts.least_peak, rank.peak_in_flight);
  }
  return facts;
}

}  // namespace penstock
