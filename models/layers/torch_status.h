#ifndef PENSTOCK_MODELS_LAYERS_TORCH_STATUS_H_
#define PENSTOCK_MODELS_LAYERS_TORCH_STATUS_H_

#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// The exception now being handled as a status, its message "`where`: " and the
// first line of libtorch's (without its C++ stack).
//   RESOURCE_EXHAUSTED  an allocation failed.
//   INTERNAL            anything else.
// Requires: called from a catch block.
absl::Status CurrentTorchError(absl::string_view where);

namespace torch_status_internal {

template <typename Result>
struct StatusFor {
  using type = absl::StatusOr<Result>;
};
template <>
struct StatusFor<void> {
  using type = absl::Status;
};
template <>
struct StatusFor<absl::Status> {
  using type = absl::Status;
};
template <typename Result>
struct StatusFor<absl::StatusOr<Result>> {
  using type = absl::StatusOr<Result>;
};

}  // namespace torch_status_internal

// Runs `function`, which may throw as libtorch does, and returns what it
// returns: void as absl::Status, T as absl::StatusOr<T>, a status as it is. An
// exception becomes `CurrentTorchError(where)`: none leaves an interface.
template <typename Function>
typename torch_status_internal::StatusFor<std::invoke_result_t<Function>>::type
CatchTorch(absl::string_view where, Function&& function) {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Function>>) {
      function();
      return absl::OkStatus();
    } else {
      return function();
    }
  } catch (...) {
    return CurrentTorchError(where);
  }
}

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_TORCH_STATUS_H_
