#ifndef PENSTOCK_CLIENT_ARCHIVE_H_
#define PENSTOCK_CLIENT_ARCHIVE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace penstock {

struct ArchivedFile {
  // Relative, below the archive's one folder.
  std::string name;
  std::string content;
};

// Writes `files` as a .tar.gz that unpacks into `folder`, readable by its owner
// alone. `path` is whole or not there; what was there before stays.
//   ALREADY_EXISTS  there is something at `path`.
//   UNKNOWN etc.    it cannot be written; says why.
absl::Status WriteArchive(const std::string& path, const std::string& folder,
                          const std::vector<ArchivedFile>& files,
                          absl::Time now);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_ARCHIVE_H_
