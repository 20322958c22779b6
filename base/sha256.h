#ifndef PENSTOCK_BASE_SHA256_H_
#define PENSTOCK_BASE_SHA256_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock {

// Sha256 over bytes given in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(const void* bytes, size_t size_bytes);
  // The 32 raw bytes. Call once; nothing may follow.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The 32 raw bytes.
std::string Sha256Of(absl::string_view bytes);
// 64 lower-case hexadecimal digits.
std::string Sha256HexOf(absl::string_view bytes);

}  // namespace penstock

#endif  // PENSTOCK_BASE_SHA256_H_
