#ifndef PENSTOCK_COORDINATOR_CORE_JOB_CHECK_H_
#define PENSTOCK_COORDINATOR_CORE_JOB_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/job.pb.h"

namespace penstock {

inline constexpr char kFloat32[] = "float32";
inline constexpr char kBfloat16[] = "bfloat16";
inline constexpr char kFloat16[] = "float16";

inline constexpr char kPipelineMajor[] = "pipeline_major";
inline constexpr char kDataMajor[] = "data_major";

// Whether the numbers and names of a job can be trained with, as far as that
// does not depend on its model or schedule; a client may have checked nothing.
//   INVALID_ARGUMENT  names the key as the job file spells it, what was wanted
//                     and what was got.
absl::Status CheckJob(const Job& job);

// "no layer \"hed\"; did you mean \"head\"?", or with the names there are
// where none is near.
std::string NoSuch(absl::string_view what, absl::string_view name,
                   const std::vector<std::string>& names);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_JOB_CHECK_H_
