#include "client/settings.h"

#include <filesystem>
#include <optional>
#include <utility>
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

// What the configuration file says; empty where it says nothing.
struct ConfigFile {
  std::string coordinator;
  std::string tls_dir;
};

absl::StatusOr<ConfigFile> ReadConfig(const std::string& path) {
  ConfigFile config;
  if (path.empty()) return config;
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return config;
  PENSTOCK_RETURN_IF_ERROR(text.status());
  try {
    const YAML::Node root = YAML::Load(*text);
    if (root.IsNull()) return config;
    if (!root.IsMap()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": wants a mapping like `coordinator: host:port`"));
    }
    for (const auto& entry : root) {
      const std::string key = entry.first.as<std::string>("");
      if (key != "coordinator" && key != "tls_dir") {
        return absl::InvalidArgumentError(
            absl::StrCat(path, ":", entry.first.Mark().line + 1, ":",
                         entry.first.Mark().column + 1, ": unknown key \"", key,
                         "\"", DidYouMean(key, {"coordinator", "tls_dir"}),
                         "; there are coordinator and tls_dir"));
      }
      (key == "tls_dir" ? config.tls_dir : config.coordinator) =
          entry.second.as<std::string>("");
    }
    return config;
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

// As it is seen from `folder`.
std::string From(const std::string& folder, const std::string& path) {
  if (path.empty()) return "";
  return (std::filesystem::path(folder) / path).lexically_normal();
}

TlsSetting FindTls(const CoordinatorFlags& flags,
                   const Environment& environment,
                   const std::string& config_path, const ConfigFile& config) {
  const std::string& here = environment.working_folder;
  TlsSetting setting{
      From(here, flags.tls.folder), From(here, flags.tls.authority),
      From(here, flags.tls.certificate), From(here, flags.tls.key)};
  if (setting.folder.empty()) {
    setting.folder = From(here, environment.Variable("PENSTOCK_TLS_DIR"));
  }
  if (setting.folder.empty()) {
    setting.folder =
        From(std::filesystem::path(config_path).parent_path(), config.tls_dir);
  }
  return setting;
}

absl::StatusOr<std::shared_ptr<const TlsCredentials>> LoadTls(
    const CoordinatorFlags& flags, const TlsSetting& setting,
    const Environment& environment) {
  if (flags.insecure) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::optional<TlsFiles> given,
                              FindTlsFiles(flags.tls));
    if (!given.has_value()) return nullptr;
    return absl::InvalidArgumentError(
        "--insecure is for a coordinator without TLS, and certificates are "
        "given; leave one of them out");
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::optional<TlsFiles> files,
                            FindTlsFiles(setting));
  if (!files.has_value()) return nullptr;
  return TlsCredentials::Load({*std::move(files), nullptr}, std::nullopt,
                              *environment.clock);
}

}  // namespace

absl::StatusOr<CoordinatorSetting> FindCoordinator(
    const CoordinatorFlags& flags, const Environment& environment) {
  const std::string path = ConfigPath(environment);
  CoordinatorSetting setting{flags.address, "--coordinator", nullptr};
  if (setting.address.empty()) {
    setting = {environment.Variable("PENSTOCK_COORDINATOR"),
               "PENSTOCK_COORDINATOR", nullptr};
  }
  PENSTOCK_ASSIGN_OR_RETURN(const ConfigFile config, ReadConfig(path));
  if (setting.address.empty()) setting = {config.coordinator, path, nullptr};
  if (setting.address.empty()) {
    setting = {kDefaultCoordinator, "the default", nullptr};
  }
  PENSTOCK_RETURN_IF_ERROR(CheckAddress(setting));
  PENSTOCK_ASSIGN_OR_RETURN(
      setting.tls,
      LoadTls(flags, FindTls(flags, environment, path, config), environment));
  return setting;
}

}  // namespace penstock
