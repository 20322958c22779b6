#ifndef PENSTOCK_CLIENT_COMMANDS_CKPT_PROGRESS_H_
#define PENSTOCK_CLIENT_COMMANDS_CKPT_PROGRESS_H_

#include <cstdint>
#include <ostream>

#include "absl/status/status.h"
#include "client/environment.h"
#include "client/render/quantity.h"

namespace penstock {

// What the commands about checkpoints share.

// How one is named, in helps.
inline constexpr char kCheckpointHelp[] =
    "<job>@<step>, or <job> for its newest complete one";

// A damaged checkpoint is a failure; DATA_LOSS of a stream is another thing.
inline absl::Status AsFailure(const absl::Status& status) {
  if (!absl::IsDataLoss(status)) return status;
  return absl::FailedPreconditionError(status.message());
}

// One line that is written over and over on a terminal; elsewhere nothing.
inline void ShowProgress(const Environment& environment, int64_t done_bytes,
                         int64_t total_bytes) {
  if (!environment.err_is_terminal || total_bytes <= 0) return;
  *environment.err << "\r\033[K" << BytesText(done_bytes) << " of "
                   << BytesText(total_bytes) << "  "
                   << PercentText(static_cast<double>(done_bytes) /
                                  static_cast<double>(total_bytes))
                   << std::flush;
}

inline void EndProgress(const Environment& environment) {
  if (!environment.err_is_terminal) return;
  *environment.err << "\r\033[K" << std::flush;
}

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_COMMANDS_CKPT_PROGRESS_H_
