// The entry of libFuzzer for files of checkpoints:
//
//   bazel build --config=fuzz //tests/fuzz:checkpoint_fuzzer
//   bazel-bin/tests/fuzz/checkpoint_fuzzer -max_total_time=60 CORPUS_FOLDER
//
// checkpoint_fuzz_test checks the same of seeded inputs with every `make test`.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/fuzz/checkpoint_properties.h"

// Bytes that begin with a brace are a manifest, others a shard.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::Status status = !bytes.empty() && bytes[0] == '{'
                                  ? penstock::CheckManifestText(bytes)
                                  : penstock::CheckShardBytes(bytes);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    std::abort();
  }
  return 0;
}
