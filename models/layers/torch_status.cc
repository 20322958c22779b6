#include "models/layers/torch_status.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

absl::string_view FirstLine(absl::string_view text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

absl::Status CurrentTorchError(absl::string_view where) {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(where, ": ", FirstLine(error.what_without_backtrace())));
  } catch (const c10::Error& error) {
    const std::string message =
        absl::StrCat(where, ": ", FirstLine(error.what_without_backtrace()));
    // libtorch's allocator for host memory has no exception type of its own.
    return absl::StrContains(message, "can't allocate memory")
               ? absl::ResourceExhaustedError(message)
               : absl::InternalError(message);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(where, ": out of memory"));
  } catch (const std::exception& error) {
    return absl::InternalError(
        absl::StrCat(where, ": ", FirstLine(error.what())));
  } catch (...) {
    return absl::InternalError(absl::StrCat(where, ": unknown exception"));
  }
}

}  // namespace penstock
