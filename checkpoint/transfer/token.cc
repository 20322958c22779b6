#include "checkpoint/transfer/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Of what a token says, in hexadecimal.
std::string Signature(absl::string_view key, absl::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest,
       &size);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), size));
}

}  // namespace

std::string MakeTransferToken(absl::string_view key,
                              const TransferClaim& claim) {
  const std::string text = absl::StrCat(claim.job_id, ":", claim.epoch);
  return absl::StrCat(text, ":", Signature(key, text));
}

absl::StatusOr<TransferClaim> ReadTransferToken(absl::string_view key,
                                                absl::string_view token) {
  const absl::Status refused = absl::PermissionDeniedError(
      "the token is not one of this store; it comes with the job's epoch");
  const size_t end = token.rfind(':');
  if (end == absl::string_view::npos) return refused;
  const absl::string_view text = token.substr(0, end);
  const absl::string_view shown = token.substr(end + 1);
  const std::string wanted = Signature(key, text);
  if (shown.size() != wanted.size() ||
      CRYPTO_memcmp(shown.data(), wanted.data(), wanted.size()) != 0) {
    return refused;
  }
  const size_t middle = text.rfind(':');
  TransferClaim claim;
  if (middle == absl::string_view::npos ||
      !absl::SimpleAtoi(text.substr(middle + 1), &claim.epoch)) {
    return refused;
  }
  claim.job_id = std::string(text.substr(0, middle));
  return claim;
}

}  // namespace penstock
