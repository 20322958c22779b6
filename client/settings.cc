#include "client/settings.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "yaml-cpp/yaml.h"

namespace penstock {
namespace {

std::string ConfigPath(const Environment& environment) {
  const std::string folder = environment.Variable("XDG_CONFIG_HOME");
  if (!folder.empty()) return absl::StrCat(folder, "/penstock/config.yaml");
  const std::string home = environment.Variable("HOME");
  if (home.empty()) return "";
  return absl::StrCat(home, "/.config/penstock/config.yaml");
}

// The `coordinator` of the file at `path`; empty when there is none.
absl::StatusOr<std::string> CoordinatorInFile(const std::string& path) {
  if (path.empty()) return "";
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return "";
  PENSTOCK_RETURN_IF_ERROR(text.status());
  try {
    const YAML::Node root = YAML::Load(*text);
    std::string address;
    if (root.IsNull()) return address;
    if (!root.IsMap()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": wants a mapping like `coordinator: host:port`"));
    }
    for (const auto& entry : root) {
      const std::string key = entry.first.as<std::string>("");
      if (key != "coordinator") {
        return absl::InvalidArgumentError(absl::StrCat(
            path, ":", entry.first.Mark().line + 1, ":",
            entry.first.Mark().column + 1, ": unknown key \"", key, "\"",
            DidYouMean(key, {"coordinator"}), " The only key is coordinator."));
      }
      address = entry.second.as<std::string>("");
    }
    return address;
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not YAML: ", error.what()));
  }
}

absl::Status CheckAddress(const CoordinatorSetting& setting) {
  const size_t colon = setting.address.rfind(':');
  int port = 0;
  if (colon != std::string::npos && colon > 0 &&
      absl::SimpleAtoi(setting.address.substr(colon + 1), &port) && port >= 1 &&
      port <= 65535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      setting.origin, ": wanted the coordinator's host:port, for example ",
      kDefaultCoordinator, ", got \"", setting.address, "\""));
}

}  // namespace

absl::StatusOr<CoordinatorSetting> FindCoordinator(
    const std::string& flag, const Environment& environment) {
  CoordinatorSetting setting{flag, "--coordinator"};
  if (setting.address.empty()) {
    setting = {environment.Variable("PENSTOCK_COORDINATOR"),
               "PENSTOCK_COORDINATOR"};
  }
  if (setting.address.empty()) {
    const std::string path = ConfigPath(environment);
    PENSTOCK_ASSIGN_OR_RETURN(const std::string address,
                              CoordinatorInFile(path));
    setting = {address, path};
  }
  if (setting.address.empty()) setting = {kDefaultCoordinator, "the default"};
  PENSTOCK_RETURN_IF_ERROR(CheckAddress(setting));
  return setting;
}

}  // namespace penstock
