#include "schedule/generators/request.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/suggest.h"

namespace penstock {
namespace {

constexpr char kChunks[] = "chunks";

bool Contains(const std::vector<std::string>& words, absl::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

absl::Status CheckCounts(const GeneratorRequest& request) {
  for (const auto& [what, count, least] :
       {std::tuple("ranks", request.num_ranks, 1),
        std::tuple("stages", request.num_stages, 0),
        std::tuple("microbatches", request.num_microbatches, 1)}) {
    if (count < least) {
      return absl::InvalidArgumentError(
          absl::StrCat(count, " ", what, ", want at least 1"));
    }
  }
  return absl::OkStatus();
}

// What the integers of a list are for.
absl::string_view Each(const ParameterInfo& parameter) {
  return parameter.list == ListFor::kRanks ? "rank" : "stage";
}

// "one of early, late, 1 to 8", for messages.
std::string Allowed(const ParameterInfo& parameter) {
  std::vector<std::string> allowed = parameter.values;
  if (parameter.range) {
    allowed.push_back(absl::StrCat(
        parameter.list == ListFor::kNothing
            ? "an integer from "
            : absl::StrCat("integers joined with commas, one for each ",
                           Each(parameter), ", from "),
        parameter.range->min, " to ", parameter.range->max));
  }
  return absl::StrJoin(allowed, ", ");
}

absl::Status CheckInteger(const GeneratorInfo& info,
                          const ParameterInfo& parameter,
                          absl::string_view text) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "value of ", parameter.name, " of schedule ", info.name, " \"", text,
        "\" is not known", DidYouMean(text, parameter.values),
        "; known: ", Allowed(parameter)));
  }
  const int64_t nearest =
      std::clamp<int64_t>(value, parameter.range->min, parameter.range->max);
  if (value == nearest) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      parameter.name, " of schedule ", info.name, " is ", text,
      ", want: ", Allowed(parameter), "; the nearest is ", nearest));
}

absl::Status CheckValue(const GeneratorInfo& info,
                        const ParameterInfo& parameter,
                        const std::string& value,
                        const GeneratorRequest& request) {
  if (Contains(parameter.values, value)) return absl::OkStatus();
  if (!parameter.range) {
    return UnknownWord(
        absl::StrCat("value of ", parameter.name, " of schedule ", info.name),
        value, parameter.values);
  }
  if (parameter.list == ListFor::kNothing) {
    return CheckInteger(info, parameter, value);
  }
  const std::vector<absl::string_view> numbers = absl::StrSplit(value, ',');
  for (const absl::string_view number : numbers) {
    PENSTOCK_RETURN_IF_ERROR(CheckInteger(info, parameter, number));
  }
  const bool stages = parameter.list == ListFor::kStages;
  const int want = stages ? request.num_stages : request.num_ranks;
  if (static_cast<int>(numbers.size()) == want || (stages && want == 0)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(parameter.name, " of schedule ", info.name, " has ",
                   numbers.size(), " integers for ", want, " ", Each(parameter),
                   "s, want one for each ", Each(parameter)));
}

absl::StatusOr<std::map<std::string, std::string>> CompleteParameters(
    const GeneratorInfo& info, const GeneratorRequest& request) {
  std::map<std::string, std::string> complete;
  std::vector<std::string> names;
  for (const ParameterInfo& parameter : info.parameters) {
    names.push_back(parameter.name);
    complete[parameter.name] = parameter.default_value;
  }
  for (const auto& [name, value] : request.parameters) {
    const auto parameter =
        std::find_if(info.parameters.begin(), info.parameters.end(),
                     [&](const ParameterInfo& p) { return p.name == name; });
    if (parameter == info.parameters.end()) {
      return UnknownWord(absl::StrCat("parameter of schedule ", info.name),
                         name, names);
    }
    PENSTOCK_RETURN_IF_ERROR(CheckValue(info, *parameter, value, request));
    complete[name] = value;
  }
  return complete;
}

// Stages that a request leaves open: one for each integer of a list for stages,
// or else for each rank.
int OpenStages(const GeneratorInfo& info, const GeneratorRequest& request) {
  for (const ParameterInfo& parameter : info.parameters) {
    if (parameter.list != ListFor::kStages) continue;
    const auto given = request.parameters.find(parameter.name);
    if (given == request.parameters.end()) continue;
    if (Contains(parameter.values, given->second)) continue;
    return static_cast<int>(ListParameter(request, parameter.name).size());
  }
  return request.num_ranks;
}

// For a number of stages that no number of chunks makes.
absl::Status WrongStages(const GeneratorInfo& info,
                         const GeneratorRequest& request) {
  const ChunkRange& chunks = *info.chunks;
  const int below = std::clamp(request.num_stages / request.num_ranks,
                               chunks.min, chunks.max);
  const int above = std::clamp(request.num_stages / request.num_ranks + 1,
                               chunks.min, chunks.max);
  const auto stages = [&](int64_t count) { return count * request.num_ranks; };
  std::string per_rank = absl::StrCat(chunks.min);
  if (chunks.max > chunks.min) absl::StrAppend(&per_rank, " to ", chunks.max);
  std::string nearest = absl::StrCat(stages(below));
  if (above > below) absl::StrAppend(&nearest, " or ", stages(above));
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule ", info.name, " runs ", per_rank,
      per_rank == "1" ? " stage" : " stages", " on each rank, got ",
      request.num_stages, " stages on ", request.num_ranks,
      " ranks; the nearest are ", nearest, " stages"));
}

absl::Status CompleteStages(const GeneratorInfo& info,
                            GeneratorRequest* request) {
  const ChunkRange& chunks = *info.chunks;
  const auto asked = request->parameters.find(kChunks);
  if (request->num_stages == 0) {
    const int64_t per_rank = asked == request->parameters.end()
                                 ? chunks.default_value
                                 : IntegerParameter(*request, kChunks);
    request->num_stages = static_cast<int>(
        std::min<int64_t>(per_rank * request->num_ranks, INT32_MAX));
  }
  const int per_rank = request->num_stages / request->num_ranks;
  if (request->num_stages % request->num_ranks != 0 || per_rank < chunks.min ||
      per_rank > chunks.max) {
    return WrongStages(info, *request);
  }
  if (asked == request->parameters.end()) return absl::OkStatus();
  if (IntegerParameter(*request, kChunks) == per_rank) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      kChunks, " of schedule ", info.name, " is ", asked->second, ", but ",
      request->num_stages, " stages on ", request->num_ranks, " ranks are ",
      per_rank, " on each; want ", kChunks, "=", per_rank, " or leave it out"));
}

}  // namespace

absl::Status UnknownWord(absl::string_view what, absl::string_view word,
                         const std::vector<std::string>& known) {
  return absl::InvalidArgumentError(absl::StrCat(
      what, " \"", word, "\" is not known", DidYouMean(word, known),
      known.empty() ? "; there are none"
                    : absl::StrCat("; known: ", absl::StrJoin(known, ", "))));
}

ParameterInfo ChunksParameter(const ChunkRange& chunks) {
  return {.name = kChunks,
          .description = "stages on each rank (v)",
          .range = IntegerRange{chunks.min, chunks.max},
          .default_value = absl::StrCat(chunks.default_value)};
}

absl::StatusOr<GeneratorRequest> CompleteRequest(
    const GeneratorInfo& info, const GeneratorRequest& request) {
  PENSTOCK_RETURN_IF_ERROR(CheckCounts(request));
  PENSTOCK_ASSIGN_OR_RETURN(auto parameters, CompleteParameters(info, request));
  GeneratorRequest complete = request;
  if (info.chunks) {
    PENSTOCK_RETURN_IF_ERROR(CompleteStages(info, &complete));
    if (parameters.contains(kChunks)) {
      parameters[kChunks] =
          absl::StrCat(complete.num_stages / complete.num_ranks);
    }
  } else if (complete.num_stages == 0) {
    complete.num_stages = OpenStages(info, request);
  }
  complete.parameters = std::move(parameters);
  return complete;
}

int IntegerParameter(const GeneratorRequest& request, absl::string_view name) {
  int value = 0;
  const auto found = request.parameters.find(std::string(name));
  if (found != request.parameters.end()) {
    (void)absl::SimpleAtoi(found->second, &value);
  }
  return value;
}

std::vector<int> ListParameter(const GeneratorRequest& request,
                               absl::string_view name) {
  std::vector<int> values;
  const auto found = request.parameters.find(std::string(name));
  if (found == request.parameters.end()) return values;
  for (const absl::string_view text : absl::StrSplit(found->second, ',')) {
    (void)absl::SimpleAtoi(text, &values.emplace_back());
  }
  return values;
}

}  // namespace penstock
