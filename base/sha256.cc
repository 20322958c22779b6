#include "base/sha256.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"

namespace penstock {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr);
}

Sha256::~Sha256() = default;

void Sha256::Update(const void* bytes, size_t size_bytes) {
  EVP_DigestUpdate(context_->evp, bytes, size_bytes);
}

std::string Sha256::Finish() {
  std::string digest(32, '\0');
  EVP_DigestFinal_ex(context_->evp,
                     reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

std::string Sha256Of(absl::string_view bytes) {
  Sha256 sha;
  sha.Update(bytes.data(), bytes.size());
  return sha.Finish();
}

std::string Sha256HexOf(absl::string_view bytes) {
  return absl::BytesToHexString(Sha256Of(bytes));
}

}  // namespace penstock
