#include "schedule/generators/round_robin.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "schedule/generators/request.h"

namespace penstock {
namespace {

constexpr char kReplicas[] = "replicas";
constexpr char kStraight[] = "straight";

// Beyond any number of microbatches that a schedule can have.
constexpr int64_t kEndlessRound = std::numeric_limits<int32_t>::max();

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

ParameterInfo ReplicasParameter() {
  return {.name = kReplicas,
          .description =
              "ranks of each stage: one each (straight), or a list by stage",
          .values = {kStraight},
          .range = IntegerRange{1, 1'000'000},
          .list = ListFor::kStages,
          .default_value = kStraight};
}

absl::StatusOr<RoundRobin> RoundRobin::FromRequest(
    absl::string_view name, const GeneratorRequest& request) {
  const std::string& text = request.parameters.at(kReplicas);
  const std::vector<int> replicas =
      text == kStraight ? std::vector<int>(request.num_stages, 1)
                        : ListParameter(request, kReplicas);
  const int64_t sum =
      std::accumulate(replicas.begin(), replicas.end(), int64_t{0});
  if (sum == request.num_ranks) return RoundRobin(replicas);
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule ", name, " with ", request.num_stages, " stages and ",
      kReplicas, "=", text, " takes ", sum, " ranks, got ", request.num_ranks,
      "; want ", sum, " ranks or ", kReplicas, " that add up to ",
      request.num_ranks));
}

absl::StatusOr<GeneratorRequest> RoundRobin::WithReplicas(
    absl::string_view name, GeneratorRequest request) {
  std::string& own = request.parameters.at(kReplicas);
  const std::string given = absl::StrJoin(request.replicas, ",");
  if (own != kStraight) {
    return absl::InvalidArgumentError(
        absl::StrCat("replicas ", given, ": schedule ", name, " has ",
                     kReplicas, "=", own, " too; leave one of the two out"));
  }
  if (request.num_stages != request.num_ranks) {
    return absl::InvalidArgumentError(
        absl::StrCat("replicas ", given, ": a pipeline of schedule ", name,
                     " has a rank for each stage, got ", request.num_ranks,
                     " ranks for ", request.num_stages, " stages"));
  }
  own = given;
  request.num_ranks =
      std::accumulate(request.replicas.begin(), request.replicas.end(), 0);
  return request;
}

RoundRobin::RoundRobin(std::vector<int> replicas)
    : replicas_(std::move(replicas)) {
  int64_t behind = num_ranks() - 1;
  for (const int count : replicas_) {
    warmup_.push_back(static_cast<int>(behind / count));
    behind -= count;
    round_ = std::min(kEndlessRound, std::lcm(round_, int64_t{count}));
  }
}

int RoundRobin::num_ranks() const {
  return std::accumulate(replicas_.begin(), replicas_.end(), 0);
}

int RoundRobin::MaxAhead() const {
  int ahead = 0;
  for (int stage = 0; stage < num_stages(); ++stage) {
    ahead = std::max(ahead, replicas_[stage] * warmup_[stage]);
  }
  return ahead;
}

int64_t RoundRobin::RoundUp(int64_t num_microbatches) const {
  return CeilDiv(num_microbatches, round_) * round_;
}

absl::Status RoundRobin::CheckPeriod(absl::string_view name,
                                     int num_microbatches) const {
  if (num_microbatches % round_ == 0) return absl::OkStatus();
  const int64_t above = RoundUp(num_microbatches);
  const int64_t below = above - round_;
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule ", name,
      " gives every replica as many microbatches: want a "
      "multiple of ",
      round_, ", got ", num_microbatches,
      "; the nearest: ", below > 0 ? absl::StrCat(below, " and ") : "", above));
}

Schedule RoundRobin::Outline(absl::string_view name,
                             int num_microbatches) const {
  Schedule schedule;
  schedule.name = std::string(name);
  schedule.num_microbatches = num_microbatches;
  int rank = 0;
  for (const int count : replicas_) {
    auto& holders = schedule.placement.emplace_back();
    while (static_cast<int>(holders.size()) < count) {
      holders.push_back(RankId(rank++));
    }
  }
  return schedule;
}

RankLists RoundRobin::Run(int num_microbatches) const {
  RankLists lists;
  for (int stage = 0; stage < num_stages(); ++stage) {
    const int count = replicas_[stage];
    for (int replica = 0; replica < count; ++replica) {
      const auto microbatch = [&](int64_t round) {
        return MicrobatchId(static_cast<int>(round * count + replica));
      };
      const int64_t rounds = CeilDiv(num_microbatches - replica, count);
      std::vector<Action>& actions = lists.emplace_back();
      actions.reserve(2 * std::max<int64_t>(0, rounds));
      int64_t forwards = 0;
      while (forwards < std::min<int64_t>(warmup_[stage], rounds)) {
        actions.push_back(Forward(StageId(stage), microbatch(forwards++)));
      }
      for (int64_t round = 0; round < rounds; ++round) {
        if (forwards < rounds) {
          actions.push_back(Forward(StageId(stage), microbatch(forwards++)));
        }
        actions.push_back(Backward(StageId(stage), microbatch(round)));
      }
    }
  }
  return lists;
}

}  // namespace penstock
