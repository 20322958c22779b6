#ifndef PENSTOCK_BASE_TLS_TLS_FLAGS_H_
#define PENSTOCK_BASE_TLS_TLS_FLAGS_H_

#include "CLI/CLI.hpp"
#include "base/tls/tls_files.h"

namespace penstock {

// The flags that every program of ours takes: --tls-dir, --tls-ca, --tls-cert
// and --tls-key. `setting` must outlive the parsing.
inline void AddTlsFlags(CLI::App& app, TlsSetting& setting) {
  app.add_option("--tls-dir", setting.folder,
                 "folder with ca.crt, tls.crt and tls.key, as `penstock certs` "
                 "makes them: speak TLS and show this certificate")
      ->type_name("FOLDER");
  app.add_option("--tls-ca", setting.authority,
                 "the authority's certificate, instead of that folder's")
      ->type_name("FILE");
  app.add_option("--tls-cert", setting.certificate,
                 "the certificate to show, instead of that folder's")
      ->type_name("FILE");
  app.add_option("--tls-key", setting.key,
                 "the certificate's key, instead of that folder's")
      ->type_name("FILE");
}

}  // namespace penstock

#endif  // PENSTOCK_BASE_TLS_TLS_FLAGS_H_
