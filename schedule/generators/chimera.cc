#include "schedule/generators/chimera.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "schedule/generators/outline.h"
#include "schedule/generators/request.h"

namespace penstock {
namespace {

constexpr char kName[] = "chimera";
constexpr char kPipelines[] = "pipelines";
constexpr char kScale[] = "scale";

// What all ranks' lists follow from.
struct Shape {
  int num_ranks = 0;
  int num_microbatches = 0;
  // f down, then f up.
  int pipelines = 0;
  // What each pipeline takes in one unit: so many times...
  int turns = 0;
  // ... so many microbatches.
  int per_turn = 1;
  bool halves = false;
};

absl::StatusOr<Shape> ShapeOf(const GeneratorRequest& request) {
  const int p = request.num_ranks;
  if (p % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule ", kName, " runs on an even number of ranks, got ", p,
        "; the nearest are ", p == 1 ? "" : absl::StrCat(p - 1, " or "), p + 1,
        " ranks"));
  }
  const int asked = IntegerParameter(request, kPipelines);
  std::vector<int> allowed;
  for (int f = 1; f <= p / 2; ++f) {
    if (p / 2 % f == 0) allowed.push_back(f);
  }
  if (p / 2 % std::min(asked, p) != 0) {
    const int nearest =
        *std::min_element(allowed.begin(), allowed.end(), [&](int a, int b) {
          return std::abs(a - asked) < std::abs(b - asked);
        });
    return absl::InvalidArgumentError(absl::StrCat(
        kPipelines, " of schedule ", kName, " is ", asked, " on ", p,
        " ranks, want a divisor of ", p / 2, "; the nearest is ", nearest));
  }
  const std::string& scale = request.parameters.at(kScale);
  return Shape{.num_ranks = p,
               .num_microbatches = request.num_microbatches,
               .pipelines = 2 * asked,
               .turns = p / 2 / asked,
               .per_turn = scale == "doubling" ? 2 : 1,
               .halves = scale == "halving"};
}

// The stage that `pipeline` puts on `rank`; its own inverse in the up ones.
int StageOn(const Shape& shape, int pipeline, int rank) {
  const int p = shape.num_ranks;
  const int f = shape.pipelines / 2;
  const int down = (rank + p - pipeline % f * (p / f)) % p;
  return pipeline < f ? down : p - 1 - down;
}

// An action and the column of the paper's figures in which it begins.
struct Slotted {
  int64_t slot = 0;
  Action action;
};

// The rank's part in the unit whose microbatches begin at `first`. A last unit
// that is short of microbatches gives every pipeline its share, and keeps the
// slots of a whole one.
void AppendUnit(const Shape& shape, int rank, int64_t unit, int64_t first,
                std::vector<Slotted>* slotted) {
  const int p = shape.num_ranks;
  const int64_t left = std::min<int64_t>(
      shape.num_microbatches - first,
      int64_t{shape.pipelines} * shape.turns * shape.per_turn);
  const int64_t all_turns = (left - 1) / shape.per_turn + 1;
  const int64_t end = first + left;
  int64_t next = first;
  for (int pipeline = 0; pipeline < shape.pipelines; ++pipeline) {
    // The turns are dealt out down and up in turn.
    const int f = shape.pipelines / 2;
    const int place = pipeline < f ? 2 * pipeline : 2 * (pipeline - f) + 1;
    const int64_t turns =
        (all_turns - place + shape.pipelines - 1) / shape.pipelines;
    const int stage = StageOn(shape, pipeline, rank);
    for (int64_t turn = 0; turn < turns && next < end; ++turn) {
      const int64_t start = 2 * p * unit + 2 * turn;
      const int count =
          static_cast<int>(std::min<int64_t>(shape.per_turn, end - next));
      Action forward =
          Forward(StageId(stage), MicrobatchId(static_cast<int>(next)));
      forward.num_microbatches = count;
      slotted->push_back({start + stage, forward});
      const int64_t backward_slot = start + p + (p - 1 - stage);
      for (int i = 0; i < count; ++i, ++next) {
        Action backward =
            Backward(StageId(stage), MicrobatchId(static_cast<int>(next)));
        if (shape.halves) {
          backward.half = Half::kFirst;
          slotted->push_back({backward_slot, backward});
          backward.half = Half::kSecond;
        }
        slotted->push_back({backward_slot, backward});
      }
    }
  }
}

absl::StatusOr<std::vector<Action>> ListOf(const GeneratorRequest& request,
                                           int rank) {
  PENSTOCK_ASSIGN_OR_RETURN(const Shape shape, ShapeOf(request));
  std::vector<Slotted> slotted;
  const int64_t per_unit = int64_t{shape.num_ranks} * shape.per_turn;
  int64_t unit = 0;
  for (int64_t first = 0; first < shape.num_microbatches; first += per_unit) {
    AppendUnit(shape, rank, unit++, first, &slotted);
  }
  std::stable_sort(
      slotted.begin(), slotted.end(),
      [](const Slotted& a, const Slotted& b) { return a.slot < b.slot; });
  std::vector<Action> list;
  list.reserve(slotted.size());
  for (const Slotted& s : slotted) list.push_back(s.action);
  return list;
}

absl::StatusOr<Schedule> Chimera(const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const Shape shape, ShapeOf(request));
  Schedule outline = LoopOutline(kName, request);
  for (auto& holders : outline.placement) holders.clear();
  for (int rank = 0; rank < request.num_ranks; ++rank) {
    for (int pipeline = 0; pipeline < shape.pipelines; ++pipeline) {
      outline.placement[StageOn(shape, pipeline, rank)].push_back(RankId(rank));
    }
  }
  return FillLists(std::move(outline), request, ListOf);
}

}  // namespace

GeneratorInfo ChimeraGenerator() {
  return {
      .name = kName,
      .source =
          "Li and Hoefler, Chimera: Efficiently Training Large-Scale Neural "
          "Networks with Bidirectional Pipelines, 2021, sections 3.1 to 3.5",
      .trade =
          "half of 1F1B's bubble and even memory over the ranks, for 2f "
          "copies of the weights and the reduction of their gradients",
      .update_policy = "flush",
      .parameters = {{.name = kPipelines,
                      .description =
                          "pipelines in each direction (f), a divisor of "
                          "half the ranks",
                      .range = IntegerRange{1, 1'000'000},
                      .default_value = "1"},
                     {.name = kScale,
                      .description =
                          "more microbatches than ranks: units end to end "
                          "(concat), forwards of two microbatches "
                          "(doubling), backwards of half of one (halving)",
                      .values = {"concat", "doubling", "halving"},
                      .default_value = "concat"}},
      .generate = Chimera,
      .generate_rank = ListOf};
}

}  // namespace penstock
