#ifndef PENSTOCK_CLIENT_RENDER_ERROR_TEXT_H_
#define PENSTOCK_CLIENT_RENDER_ERROR_TEXT_H_

#include <string>

#include "absl/status/status.h"

namespace penstock {

// The one shape of an error: each line of the message after
// "penstock: error: ", the line's end included; a line that begins with a blank
// belongs to the one before it and stays as it is. The message itself says
// what, where, what was wanted, what was got and what to do. Pure.
std::string ErrorText(const absl::Status& status);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_ERROR_TEXT_H_
