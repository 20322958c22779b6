#ifndef PENSTOCK_BASE_TLS_IDENTITY_H_
#define PENSTOCK_BASE_TLS_IDENTITY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// Who is who in a cluster: what a certificate says of its holder. Pure.

// What its holder may do. Of people, each may do what those before it may.
enum class Role {
  kViewer,
  kUser,
  kAdmin,
  kStageServer,
  kCoordinator,
  kStore,
};

// "viewer", "user", "admin", "stage-server", "coordinator", "store".
absl::string_view RoleName(Role role);

// Every role, in the order of the enumeration.
const std::vector<Role>& AllRoles();

// INVALID_ARGUMENT, with the roles that there are, if `name` is none.
absl::StatusOr<Role> ParseRole(absl::string_view name);

// Whether certificates of `role` are for a process that others dial.
bool IsDialled(Role role);

struct Identity {
  Role role = Role::kViewer;
  // Of a person or a process. Of a stage server, its name or its id.
  std::string name;

  friend bool operator==(const Identity&, const Identity&) = default;
};

// "user/alice", as messages say it.
std::string ToString(const Identity& identity);

// INVALID_ARGUMENT unless it can be a folder's name and part of a URI: 1 to 64
// letters, digits, '.', '_' and '-', the first a letter or a digit.
absl::Status CheckIdentityName(absl::string_view name);

// "penstock://user/alice", the only spelling inside a certificate.
std::string ToUri(const Identity& identity);

// Inverse of `ToUri`. INVALID_ARGUMENT, quoting `uri`, if it is none.
absl::StatusOr<Identity> ParseIdentityUri(absl::string_view uri);

}  // namespace penstock

#endif  // PENSTOCK_BASE_TLS_IDENTITY_H_
