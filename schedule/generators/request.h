#ifndef PENSTOCK_SCHEDULE_GENERATORS_REQUEST_H_
#define PENSTOCK_SCHEDULE_GENERATORS_REQUEST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "schedule/generators/generator.h"

namespace penstock {

// The parameter that says how many stages each rank runs, for the generators
// that leave a choice. In a completed request it agrees with `num_stages`.
ParameterInfo ChunksParameter(const ChunkRange& chunks);

// `request` with the defaults of what it leaves out, as `GeneratorInfo`
// promises it to a generator. Pure.
//   INVALID_ARGUMENT  a count below 1; a number of stages that does not suit
//                     the ranks; an unknown parameter or a value outside its
//                     range. Each names the nearest that would do.
absl::StatusOr<GeneratorRequest> CompleteRequest(
    const GeneratorInfo& info, const GeneratorRequest& request);

// The integer that a completed request holds for the parameter.
int IntegerParameter(const GeneratorRequest& request, absl::string_view name);

// The same for a list "4,3,1".
std::vector<int> ListParameter(const GeneratorRequest& request,
                               absl::string_view name);

// INVALID_ARGUMENT: `what "word" is not known; did you mean "..."? ...`.
absl::Status UnknownWord(absl::string_view what, absl::string_view word,
                         const std::vector<std::string>& known);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_REQUEST_H_
