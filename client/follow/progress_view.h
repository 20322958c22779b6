#ifndef PENSTOCK_CLIENT_FOLLOW_PROGRESS_VIEW_H_
#define PENSTOCK_CLIENT_FOLLOW_PROGRESS_VIEW_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "client/render/progress_line.h"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// Shows how one job goes. On a terminal one line that is written over and over,
// with notes and evaluated steps scrolling above it; elsewhere plain lines.
// Thread-safe.
class ProgressView {
 public:
  // `out` outlives this. `columns`, asked for at every line, is the width of
  // the terminal where there is one.
  ProgressView(std::ostream* out, bool is_terminal,
               std::function<int()> columns);
  // Leaves the last live line standing.
  ~ProgressView();

  void Start(const std::string& name, int64_t steps);
  void ShowStep(const ProgressRecord& record);
  // One whole line: a change of state, a lost connection.
  void ShowNote(absl::string_view line);
  // Ends the live line, so that other text can follow.
  void Finish();

 private:
  void Erase() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const bool is_terminal_;
  const std::function<int()> columns_;
  Mutex mutex_;
  std::ostream* const out_ ABSL_PT_GUARDED_BY(mutex_);
  ProgressSnapshot snapshot_ ABSL_GUARDED_BY(mutex_);
  EtaEstimate eta_ ABSL_GUARDED_BY(mutex_);
  LineThinner thinner_ ABSL_GUARDED_BY(mutex_);
  // The live line on the screen; empty when there is none.
  std::string live_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_FOLLOW_PROGRESS_VIEW_H_
