#include "client/follow/progress_view.h"

#include <algorithm>
#include <utility>

namespace penstock {

ProgressView::ProgressView(std::ostream* out, bool is_terminal,
                           std::function<int()> columns)
    : is_terminal_(is_terminal), columns_(std::move(columns)), out_(out) {}

ProgressView::~ProgressView() { Finish(); }

void ProgressView::Start(const std::string& name, int64_t steps) {
  MutexLock lock(&mutex_);
  snapshot_.name = name;
  snapshot_.steps = steps;
}

void ProgressView::ShowStep(const ProgressRecord& record) {
  MutexLock lock(&mutex_);
  snapshot_.record = record;
  snapshot_.eta_seconds = eta_.Update(record, snapshot_.steps);
  if (is_terminal_) {
    if (record.has_evaluation_loss()) {
      // Stays: there are few, and people compare them.
      Erase();
      *out_ << PlainLine(snapshot_) << "\n";
    }
    // A full last column would wrap on some terminals.
    live_ = LiveLine(snapshot_, std::max(20, columns_() - 1));
    *out_ << "\r" << live_ << "\x1b[K" << std::flush;
  } else if (thinner_.Shows(record, snapshot_.steps)) {
    *out_ << PlainLine(snapshot_) << "\n" << std::flush;
  }
}

void ProgressView::ShowNote(absl::string_view line) {
  MutexLock lock(&mutex_);
  Erase();
  *out_ << line << "\n" << live_ << std::flush;
}

void ProgressView::Finish() {
  MutexLock lock(&mutex_);
  if (!live_.empty()) *out_ << "\n" << std::flush;
  live_.clear();
}

void ProgressView::Erase() {
  if (!live_.empty()) *out_ << "\r\x1b[K";
}

}  // namespace penstock
