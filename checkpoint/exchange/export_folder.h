#ifndef PENSTOCK_CHECKPOINT_EXCHANGE_EXPORT_FOLDER_H_
#define PENSTOCK_CHECKPOINT_EXCHANGE_EXPORT_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "checkpoint/files/file_system.h"

namespace penstock {

// Makes the folder that an export goes to.
//   FAILED_PRECONDITION  there is something in it already; names it.
absl::Status PrepareExportFolder(FileSystem& files, const std::string& folder);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_EXCHANGE_EXPORT_FOLDER_H_
