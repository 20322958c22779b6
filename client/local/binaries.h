#ifndef PENSTOCK_CLIENT_LOCAL_BINARIES_H_
#define PENSTOCK_CLIENT_LOCAL_BINARIES_H_

#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// Where the two other programs are.
struct Binaries {
  std::string coordinator;
  std::string stage_server;
};

// Looks in `bin_dir` when it is given, else beside `executable`, in its sibling
// folders `coordinator` and `stage_server` (as Bazel lays them out). NOT_FOUND
// names every place looked at.
absl::StatusOr<Binaries> FindBinaries(const std::string& bin_dir,
                                      const std::string& executable);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_LOCAL_BINARIES_H_
