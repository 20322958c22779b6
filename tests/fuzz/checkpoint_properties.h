#ifndef PENSTOCK_TESTS_FUZZ_CHECKPOINT_PROPERTIES_H_
#define PENSTOCK_TESTS_FUZZ_CHECKPOINT_PROPERTIES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace penstock {

// What must hold of any bytes that are read as a part of a checkpoint: reading
// ends with a value or with one of the promised errors, and a value survives
// being written and read again. `accepted`, if given, says which. An error here
// says what does not hold.

// The beginning of a safetensors file.
absl::Status CheckShardBytes(absl::string_view bytes, bool* accepted = nullptr);

// manifest.json.
absl::Status CheckManifestText(absl::string_view text,
                               bool* accepted = nullptr);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_FUZZ_CHECKPOINT_PROPERTIES_H_
