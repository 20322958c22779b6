#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_HOST_IDENTITY_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_HOST_IDENTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// What two processes have in common exactly when they may talk through shared
// memory: the boot id of the machine, the inode of the network namespace, so
// that namespaces joined by a shaped link count as hosts, and that of the pid
// namespace, across which UCX cannot open shared memory. `override_identity`,
// when not empty, is the answer instead.
//
// Reads /proc; NOT_FOUND or UNKNOWN, naming the file, when it cannot.
absl::StatusOr<std::string> HostIdentity(const std::string& override_identity);

// The inode of one of this process's namespaces, "net" or "pid".
absl::StatusOr<uint64_t> NamespaceInode(const std::string& kind);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_HOST_IDENTITY_H_
