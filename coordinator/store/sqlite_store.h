#ifndef PENSTOCK_COORDINATOR_STORE_SQLITE_STORE_H_
#define PENSTOCK_COORDINATOR_STORE_SQLITE_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/store/state_store.h"

namespace penstock {

// Opens, or makes, the store in the SQLite database at `path`, and its folder.
// A `path`.lock beside it names the process that has it open.
//
// WAL with synchronous FULL: what `Write` has answered survives a power cut.
// The database is checked as a whole first, which takes about a second a GB.
//   FAILED_PRECONDITION  another process has it open, or a later build of
//                        Penstock has written it; names which.
//   DATA_LOSS            damaged; says how to recover. Nothing is changed.
//   PERMISSION_DENIED, NOT_FOUND, RESOURCE_EXHAUSTED  the file system's.
absl::StatusOr<std::unique_ptr<StateStore>> OpenSqliteStore(
    const std::string& path);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_STORE_SQLITE_STORE_H_
