#include "stage_server/engine/device.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

using Kinds = std::map<std::string, DeviceFactory>;

Kinds& RegisteredKinds() {
  static auto* const kinds = new Kinds;
  return *kinds;
}

}  // namespace

bool RegisterDeviceKind(absl::string_view kind, DeviceFactory factory) {
  return RegisteredKinds().emplace(std::string(kind), factory).second;
}

absl::StatusOr<std::unique_ptr<Device>> MakeDevice(absl::string_view name) {
  const auto kind =
      RegisteredKinds().find(std::string(name.substr(0, name.find(':'))));
  if (kind != RegisteredKinds().end()) return kind->second(name);
  std::string there;
  for (const auto& [known, factory] : RegisteredKinds()) {
    absl::StrAppend(&there, there.empty() ? "" : ", ", known);
  }
  return absl::NotFoundError(absl::StrCat("no device \"", name,
                                          "\" in this binary; it has ",
                                          there.empty() ? "none" : there));
}

}  // namespace penstock
