#include "base/tls/certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

constexpr char kOrganization[] = "Penstock";
constexpr int kSerialBits = 127;
constexpr size_t kMaxHostBytes = 253;

// OpenSSL frees each kind with a function of its own.
template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Bignum = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;
using TrustStore = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using TrustContext =
    std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;
using Octets =
    std::unique_ptr<ASN1_OCTET_STRING, Freed<ASN1_OCTET_STRING_free>>;

// Of a call that fails only for want of memory or randomness. Empties OpenSSL's
// queue of errors, which is the thread's.
absl::Status OpensslFailed(absl::string_view what) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* const reason =
      error == 0 ? nullptr : ERR_reason_error_string(error);
  return absl::InternalError(
      absl::StrCat("cannot ", what, ": ", reason == nullptr ? "?" : reason));
}

Bio BioOf(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string TextOf(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size);
}

// Asks nobody for the password of an encrypted key.
int NoPassword(char*, int, int, void*) { return -1; }

absl::StatusOr<Certificate> ParseCertificate(const std::string& pem) {
  const Bio bio = BioOf(pem);
  Certificate certificate(
      PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  if (certificate != nullptr) return certificate;
  return absl::InvalidArgumentError(
      "it holds no certificate; wanted PEM text with BEGIN CERTIFICATE");
}

absl::StatusOr<Key> ParseKey(const std::string& pem) {
  const Bio bio = BioOf(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  if (key != nullptr) return key;
  return absl::InvalidArgumentError(
      "it holds no private key; wanted PEM text with BEGIN PRIVATE KEY, not "
      "encrypted");
}

absl::StatusOr<std::string> ToPem(const Certificate& certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate.get()) != 1) {
    return OpensslFailed("write a certificate");
  }
  return TextOf(bio);
}

absl::StatusOr<std::string> ToPem(const Key& key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0,
                                    nullptr, nullptr) != 1) {
    return OpensslFailed("write a key");
  }
  return TextOf(bio);
}

// Whether `host` is an address or may be a host's name. Nothing else gets into
// the text from which OpenSSL makes an extension.
bool IsAddress(const std::string& host) {
  const Octets octets(a2i_IPADDRESS(host.c_str()));
  ERR_clear_error();
  return octets != nullptr;
}

bool IsHostName(absl::string_view host) {
  const bool known = std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
  return known && !host.empty() && host.size() <= kMaxHostBytes &&
         absl::ascii_isalnum(host.front()) && absl::ascii_isalnum(host.back());
}

absl::StatusOr<std::string> AlternativeNames(
    const CertificateRequest& request) {
  std::string names = absl::StrCat("URI:", ToUri(request.identity));
  for (const std::string& host : request.hosts) {
    if (IsAddress(host)) {
      absl::StrAppend(&names, ",IP:", host);
    } else if (IsHostName(host)) {
      absl::StrAppend(&names, ",DNS:", host);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", host,
                       "\" is no host's name and no address; wanted head, "
                       "head.example.org, 10.0.0.7 or fd00::7, without port"));
    }
  }
  return names;
}

// What one certificate of ours is made of.
struct Parts {
  std::string common_name;
  // Empty: none.
  std::string unit;
  absl::Time not_before;
  absl::Time not_after;
  // Each with its text, as `openssl x509v3_config` has them.
  std::vector<std::pair<int, std::string>> extensions;
};

bool AddName(X509_NAME* name, const char* field, const std::string& value) {
  return value.empty() ||
         X509_NAME_add_entry_by_txt(
             name, field, MBSTRING_UTF8,
             reinterpret_cast<const unsigned char*>(value.data()),
             static_cast<int>(value.size()), -1, 0) == 1;
}

bool SetHead(X509* certificate, const Parts& parts, EVP_PKEY* key) {
  const Bignum serial(BN_new());
  if (serial == nullptr ||
      BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) !=
          1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) ==
          nullptr) {
    return false;
  }
  X509_NAME* const name = X509_get_subject_name(certificate);
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         AddName(name, "O", kOrganization) && AddName(name, "OU", parts.unit) &&
         AddName(name, "CN", parts.common_name) &&
         ASN1_TIME_set(X509_getm_notBefore(certificate),
                       absl::ToTimeT(parts.not_before)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate),
                       absl::ToTimeT(parts.not_after)) != nullptr &&
         X509_set_pubkey(certificate, key) == 1;
}

bool AddExtensions(X509* certificate, X509* issuer, const Parts& parts) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const auto& [nid, text] : parts.extensions) {
    const Extension extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str()));
    if (extension == nullptr ||
        X509_add_ext(certificate, extension.get(), -1) != 1) {
      return false;
    }
  }
  return true;
}

// `issuer` and `issuer_key` are null for a certificate that signs itself.
absl::StatusOr<KeyedCertificate> Make(const Parts& parts, X509* issuer,
                                      EVP_PKEY* issuer_key) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (key == nullptr || certificate == nullptr) {
    return OpensslFailed("make a key");
  }
  X509* const signer = issuer == nullptr ? certificate.get() : issuer;
  EVP_PKEY* const signing = issuer == nullptr ? key.get() : issuer_key;
  if (!SetHead(certificate.get(), parts, key.get()) ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer)) !=
          1 ||
      !AddExtensions(certificate.get(), signer, parts) ||
      X509_sign(certificate.get(), signing, EVP_sha256()) == 0) {
    return OpensslFailed("make a certificate");
  }
  KeyedCertificate made;
  PENSTOCK_ASSIGN_OR_RETURN(made.certificate, ToPem(certificate));
  PENSTOCK_ASSIGN_OR_RETURN(made.key, ToPem(key));
  return made;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm fields = {};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return absl::InfinitePast();
  return absl::FromTM(fields, absl::UTCTimeZone());
}

std::string TextOf(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     ASN1_STRING_length(text));
}

// "10.0.0.1", or eight groups of hexadecimal digits as OpenSSL prints them.
std::string AddressText(const GENERAL_NAME* name) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr ||
      GENERAL_NAME_print(bio.get(), const_cast<GENERAL_NAME*>(name)) != 1) {
    return "?";
  }
  const std::string text = TextOf(bio);  // "IP Address:10.0.0.1"
  return text.substr(text.find(':') + 1);
}

// Takes what is known of the alternative names; false without an identity.
bool ReadNames(const X509* certificate, CertificateFacts& facts) {
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr) return false;
  int num_identities = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      facts.hosts.push_back(TextOf(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
      facts.hosts.push_back(AddressText(name));
    } else if (name->type == GEN_URI) {
      absl::StatusOr<Identity> identity =
          ParseIdentityUri(TextOf(name->d.uniformResourceIdentifier));
      if (!identity.ok()) continue;
      facts.identity = *std::move(identity);
      ++num_identities;
    }
  }
  return num_identities == 1;
}

std::string FingerprintOf(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return "";
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), size));
}

// All certificates of a PEM text.
absl::StatusOr<TrustStore> TrustIn(const std::string& authorities) {
  TrustStore store(X509_STORE_new());
  const Bio bio = BioOf(authorities);
  int added = 0;
  while (true) {
    const Certificate certificate(
        PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
    if (certificate == nullptr) break;
    if (X509_STORE_add_cert(store.get(), certificate.get()) == 1) ++added;
  }
  ERR_clear_error();
  if (added > 0) return store;
  return absl::InvalidArgumentError(
      "the authority's file holds no certificate; wanted PEM text with BEGIN "
      "CERTIFICATE");
}

std::string Day(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

// Why a chain is not believed, for people.
absl::Status Distrust(X509* certificate, const TrustContext& context) {
  const int error = X509_STORE_CTX_get_error(context.get());
  const X509* const at = X509_STORE_CTX_get_current_cert(context.get());
  const X509* const named = at == nullptr ? certificate : at;
  const char* const whose =
      named == certificate ? "the certificate" : "the authority's certificate";
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::FailedPreconditionError(absl::StrCat(
          whose, " has expired, on ", Day(TimeOf(X509_get0_notAfter(named))),
          "; renew it with `penstock certs rotate`"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::FailedPreconditionError(
          absl::StrCat(whose, " is valid only from ",
                       Day(TimeOf(X509_get0_notBefore(named))),
                       " on; is this machine's clock right?"));
    default:
      return absl::PermissionDeniedError(absl::StrCat(
          "the certificate was not signed by this authority (",
          X509_verify_cert_error_string(error),
          "); certificate and ca.crt must come from one `penstock certs "
          "init`"));
  }
}

}  // namespace

absl::StatusOr<KeyedCertificate> MakeAuthority(const std::string& name,
                                               absl::Time not_before,
                                               absl::Time not_after) {
  Parts parts;
  parts.common_name = name;
  parts.not_before = not_before;
  parts.not_after = not_after;
  parts.extensions = {
      {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
      {NID_key_usage, "critical,keyCertSign,cRLSign"},
      {NID_subject_key_identifier, "hash"},
  };
  return Make(parts, nullptr, nullptr);
}

absl::StatusOr<KeyedCertificate> IssueCertificate(
    const KeyedCertificate& authority, const CertificateRequest& request) {
  PENSTOCK_RETURN_IF_ERROR(CheckIdentityName(request.identity.name));
  PENSTOCK_ASSIGN_OR_RETURN(const Certificate issuer,
                            ParseCertificate(authority.certificate));
  PENSTOCK_ASSIGN_OR_RETURN(const Key key, ParseKey(authority.key));
  if (X509_check_private_key(issuer.get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        "the authority's key is another certificate's");
  }
  Parts parts;
  parts.common_name = request.identity.name;
  parts.unit = std::string(RoleName(request.identity.role));
  parts.not_before = request.not_before;
  parts.not_after = request.not_after;
  PENSTOCK_ASSIGN_OR_RETURN(const std::string names, AlternativeNames(request));
  parts.extensions = {
      {NID_basic_constraints, "critical,CA:FALSE"},
      {NID_key_usage, "critical,digitalSignature"},
      {NID_ext_key_usage, IsDialled(request.identity.role)
                              ? "serverAuth,clientAuth"
                              : "clientAuth"},
      {NID_subject_key_identifier, "hash"},
      {NID_authority_key_identifier, "keyid:always"},
      {NID_subject_alt_name, names},
  };
  return Make(parts, issuer.get(), key.get());
}

absl::StatusOr<CertificateFacts> ReadCertificate(const std::string& pem) {
  PENSTOCK_ASSIGN_OR_RETURN(const Certificate certificate,
                            ParseCertificate(pem));
  CertificateFacts facts;
  facts.not_before = TimeOf(X509_get0_notBefore(certificate.get()));
  facts.not_after = TimeOf(X509_get0_notAfter(certificate.get()));
  facts.is_authority = X509_check_ca(certificate.get()) == 1;
  facts.fingerprint = FingerprintOf(certificate.get());
  if (!ReadNames(certificate.get(), facts) && !facts.is_authority) {
    return absl::InvalidArgumentError(
        "the certificate names no role, or several; make one with `penstock "
        "certs issue`");
  }
  return facts;
}

absl::Status CheckCertificate(const KeyedCertificate& holder,
                              const std::string& authorities, absl::Time now) {
  PENSTOCK_ASSIGN_OR_RETURN(const Certificate certificate,
                            ParseCertificate(holder.certificate));
  PENSTOCK_ASSIGN_OR_RETURN(const Key key, ParseKey(holder.key));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        "the key is another certificate's; both must come from one `penstock "
        "certs issue` or `rotate`");
  }
  PENSTOCK_ASSIGN_OR_RETURN(const TrustStore store, TrustIn(authorities));
  X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store.get()),
                             absl::ToTimeT(now));
  const TrustContext context(X509_STORE_CTX_new());
  if (context == nullptr ||
      X509_STORE_CTX_init(context.get(), store.get(), certificate.get(),
                          nullptr) != 1) {
    return OpensslFailed("check a certificate");
  }
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  ERR_clear_error();
  return Distrust(certificate.get(), context);
}

}  // namespace penstock
