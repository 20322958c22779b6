#include "schedule/generators/registry.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "schedule/generators/gpipe.h"
#include "schedule/generators/naive.h"
#include "schedule/generators/one_f_one_b.h"

namespace penstock {
namespace {

constexpr int64_t kMaxActions = 100'000'000;

// "schedule "gpip" is not known; did you mean "gpipe"? It is one of: a, b".
absl::Status Unknown(absl::string_view what, absl::string_view word,
                     const std::vector<std::string>& known) {
  return absl::InvalidArgumentError(absl::StrCat(
      what, " \"", word, "\" is not known", DidYouMean(word, known),
      known.empty() ? "; there are none"
                    : absl::StrCat("; known: ", absl::StrJoin(known, ", "))));
}

absl::Status CheckCounts(const GeneratorRequest& request) {
  for (const auto& [what, count] :
       {std::pair("ranks", request.num_ranks),
        std::pair("stages", request.num_stages),
        std::pair("microbatches", request.num_microbatches)}) {
    if (count < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(count, " ", what, ", want at least 1"));
    }
  }
  if (request.num_stages > kMaxActions / 2 / request.num_microbatches) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.num_stages, " stages x ", request.num_microbatches,
                     " microbatches are more than ", kMaxActions,
                     " actions; want fewer microbatches"));
  }
  return absl::OkStatus();
}

// The request's parameters with the defaults of those left out.
absl::StatusOr<std::map<std::string, std::string>> CompleteParameters(
    const GeneratorInfo& info,
    const std::map<std::string, std::string>& given) {
  std::map<std::string, std::string> complete;
  std::vector<std::string> names;
  for (const ParameterInfo& parameter : info.parameters) {
    names.push_back(parameter.name);
    complete[parameter.name] = parameter.default_value;
  }
  for (const auto& [name, value] : given) {
    const auto parameter =
        std::find_if(info.parameters.begin(), info.parameters.end(),
                     [&](const ParameterInfo& p) { return p.name == name; });
    if (parameter == info.parameters.end()) {
      return Unknown(absl::StrCat("parameter of schedule ", info.name), name,
                     names);
    }
    const std::vector<std::string>& values = parameter->values;
    if (std::find(values.begin(), values.end(), value) == values.end()) {
      return Unknown(
          absl::StrCat("value of ", name, " of schedule ", info.name), value,
          values);
    }
    complete[name] = value;
  }
  return complete;
}

}  // namespace

const std::vector<GeneratorInfo>& Generators() {
  static const auto* generators = new std::vector<GeneratorInfo>{
      NaiveGenerator(), GpipeGenerator(), OneFOneBGenerator()};
  return *generators;
}

absl::StatusOr<const GeneratorInfo*> FindGenerator(absl::string_view name) {
  std::vector<std::string> names;
  for (const GeneratorInfo& generator : Generators()) {
    if (generator.name == name) return &generator;
    names.push_back(generator.name);
  }
  return Unknown("schedule", name, names);
}

absl::StatusOr<Schedule> Generate(absl::string_view name,
                                  const GeneratorRequest& request) {
  PENSTOCK_ASSIGN_OR_RETURN(const GeneratorInfo* generator,
                            FindGenerator(name));
  PENSTOCK_RETURN_IF_ERROR(CheckCounts(request));
  GeneratorRequest complete = request;
  PENSTOCK_ASSIGN_OR_RETURN(complete.parameters,
                            CompleteParameters(*generator, request.parameters));
  return generator->generate(complete);
}

}  // namespace penstock
