#include "base/tls/identity.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/suggest.h"

namespace penstock {
namespace {

constexpr absl::string_view kScheme = "penstock://";
constexpr size_t kMaxNameBytes = 64;

}  // namespace

absl::string_view RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kUser:
      return "user";
    case Role::kAdmin:
      return "admin";
    case Role::kStageServer:
      return "stage-server";
    case Role::kCoordinator:
      return "coordinator";
    case Role::kStore:
      return "store";
  }
  return "";
}

const std::vector<Role>& AllRoles() {
  static const auto* const roles = new std::vector<Role>{
      Role::kViewer,      Role::kUser,        Role::kAdmin,
      Role::kStageServer, Role::kCoordinator, Role::kStore};
  return *roles;
}

absl::StatusOr<Role> ParseRole(absl::string_view name) {
  std::vector<std::string> names;
  for (const Role role : AllRoles()) {
    if (name == RoleName(role)) return role;
    names.emplace_back(RoleName(role));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", name, "\" is no role", DidYouMean(std::string(name), names),
      "; there are ", absl::StrJoin(names, ", ")));
}

bool IsDialled(Role role) {
  return role == Role::kStageServer || role == Role::kCoordinator ||
         role == Role::kStore;
}

std::string ToString(const Identity& identity) {
  return absl::StrCat(RoleName(identity.role), "/", identity.name);
}

absl::Status CheckIdentityName(absl::string_view name) {
  const bool known = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (!name.empty() && name.size() <= kMaxNameBytes && known &&
      absl::ascii_isalnum(name.front())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", name, "\" cannot be a name in a certificate: wanted 1 to ",
      kMaxNameBytes,
      " letters, digits, '.', '_' and '-', the first a letter or a digit"));
}

std::string ToUri(const Identity& identity) {
  return absl::StrCat(kScheme, ToString(identity));
}

absl::StatusOr<Identity> ParseIdentityUri(absl::string_view uri) {
  absl::string_view rest = uri;
  const size_t slash = absl::ConsumePrefix(&rest, kScheme)
                           ? rest.find('/')
                           : absl::string_view::npos;
  if (slash != absl::string_view::npos) {
    const absl::StatusOr<Role> role = ParseRole(rest.substr(0, slash));
    const absl::string_view name = rest.substr(slash + 1);
    if (role.ok() && CheckIdentityName(name).ok()) {
      return Identity{*role, std::string(name)};
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", uri, "\" names nobody; wanted ", kScheme, "ROLE/NAME"));
}

}  // namespace penstock
