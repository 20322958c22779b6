#include "schedule/generators/weight_policies.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "schedule/generators/registry.h"

namespace penstock {
namespace {

// Beside each policy the generator to take if nobody names one.
const std::vector<std::pair<std::string, std::string>>& Choices() {
  static const auto* const choices =
      new std::vector<std::pair<std::string, std::string>>{
          {"flush", "one_f_one_b"},
          {"stash", "pipedream"},
          {"vertical", "pipedream_vertical"},
          {"double_buffer", "pipedream_2bw"},
          {"grouped", "wpipe"}};
  return *choices;
}

std::vector<std::string> SchedulesWith(absl::string_view policy) {
  std::vector<std::string> names;
  for (const GeneratorInfo& generator : Generators()) {
    if (generator.update_policy == policy) names.push_back(generator.name);
  }
  return names;
}

}  // namespace

const std::vector<std::string>& WeightPolicies() {
  static const auto* const names = [] {
    auto* const made = new std::vector<std::string>;
    for (const auto& [policy, schedule] : Choices()) made->push_back(policy);
    return made;
  }();
  return *names;
}

absl::StatusOr<std::string> ScheduleOfPolicy(absl::string_view policy) {
  for (const auto& [name, schedule] : Choices()) {
    if (name == policy) return schedule;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("weights.policy: \"", policy, "\" is none of ",
                   absl::StrJoin(WeightPolicies(), ", "),
                   DidYouMean(std::string(policy), WeightPolicies())));
}

std::string PolicyPairs() {
  return absl::StrJoin(
      WeightPolicies(), "; ", [](std::string* out, const std::string& policy) {
        absl::StrAppend(out, policy, " with ",
                        absl::StrJoin(SchedulesWith(policy), ", "));
      });
}

absl::Status CheckPolicyPair(absl::string_view schedule,
                             absl::string_view policy_of_schedule,
                             absl::string_view policy) {
  if (policy == policy_of_schedule) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "weights.policy is ", policy, ", and schedule ", schedule, " is one of ",
      policy_of_schedule,
      "; leave one of the two out, or take a pair: ", PolicyPairs()));
}

absl::StatusOr<PolicyChoice> CompletePolicy(PolicyChoice given) {
  if (given.schedule.empty()) {
    if (given.policy.empty()) given.policy = Choices().front().first;
    PENSTOCK_ASSIGN_OR_RETURN(given.schedule, ScheduleOfPolicy(given.policy));
    return given;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorInfo* generator,
                            FindGenerator(given.schedule));
  if (given.policy.empty()) {
    given.policy = generator->update_policy;
    return given;
  }
  // Tells a policy that there is not from one that does not fit.
  PENSTOCK_RETURN_IF_ERROR(ScheduleOfPolicy(given.policy).status());
  PENSTOCK_RETURN_IF_ERROR(
      CheckPolicyPair(given.schedule, generator->update_policy, given.policy));
  return given;
}

}  // namespace penstock
