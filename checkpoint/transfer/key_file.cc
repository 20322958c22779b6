#include "checkpoint/transfer/key_file.h"

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace penstock {
namespace {

constexpr size_t kMinKeyBytes = 16;

}  // namespace

absl::StatusOr<std::string> ReadTransferKey(const std::string& path) {
  absl::StatusOr<std::string> key = ReadFile(path);
  if (!key.ok()) return key.status();
  absl::StripAsciiWhitespace(&*key);
  if (key->size() >= kMinKeyBytes) return key;
  return absl::InvalidArgumentError(
      absl::StrCat("key file ", path, ": a key of ", key->size(),
                   " characters, wanted at least ", kMinKeyBytes,
                   "; make one with: openssl rand -hex 32"));
}

}  // namespace penstock
