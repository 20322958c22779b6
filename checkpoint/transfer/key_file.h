#ifndef PENSTOCK_CHECKPOINT_TRANSFER_KEY_FILE_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_KEY_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// The secret that a penstock-store and its owner share (token.h), from a file;
// white space around it does not count.
//   INVALID_ARGUMENT  it has less than 16 characters.
// Else the errors of ReadFile.
absl::StatusOr<std::string> ReadTransferKey(const std::string& path);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_KEY_FILE_H_
