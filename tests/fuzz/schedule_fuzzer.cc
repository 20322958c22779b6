// The entry of libFuzzer for schedule files:
//
//   bazel build --config=fuzz //tests/fuzz:schedule_fuzzer
//   bazel-bin/tests/fuzz/schedule_fuzzer -max_total_time=60 CORPUS_FOLDER
//
// schedule_fuzz_test checks the same of seeded inputs with every `make test`.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/fuzz/schedule_properties.h"

// Bytes that begin with this are a message, others a file.
constexpr char kMessage = '\x01';

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::Status status =
      !bytes.empty() && bytes[0] == kMessage
          ? penstock::CheckScheduleMessage(std::string(bytes.substr(1)))
          : penstock::CheckScheduleText(bytes);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    std::abort();
  }
  return 0;
}
