#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_HOST_IDENTITY_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_HOST_IDENTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// What two processes have in common exactly when they may talk through shared
// memory: the boot id of the machine and the inode of the network namespace, so
// that namespaces joined by a shaped link count as hosts. `override_identity`,
// when not empty, is the answer instead.
//
// Reads /proc; NOT_FOUND or UNKNOWN, naming the file, when it cannot.
absl::StatusOr<std::string> HostIdentity(const std::string& override_identity);

// The inode of one of this process's namespaces, "net" or "pid".
absl::StatusOr<uint64_t> NamespaceInode(const std::string& kind);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_HOST_IDENTITY_H_
