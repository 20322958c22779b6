#ifndef PENSTOCK_STAGE_SERVER_SERVICE_SERVER_ID_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_SERVER_ID_H_

#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// The id kept in `state_dir`/server_id; the first time, `fresh` is kept there.
// Makes the folder if need be.
//   DATA_LOSS  the file holds no id; says which file.
//   otherwise  the system's reason, naming the path.
absl::StatusOr<std::string> KeptServerId(const std::string& state_dir,
                                         const std::string& fresh);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_SERVER_ID_H_
