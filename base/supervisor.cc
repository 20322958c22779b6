#include "base/supervisor.h"

#include <systemd/sd-daemon.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace penstock {
namespace {

constexpr absl::Duration kBetweenMessages = absl::Seconds(1);
// Of a watchdog's period one message may be late, or lost, or two.
constexpr int kMessagesPerPeriod = 4;

absl::Duration WatchdogPeriod() {
  uint64_t micros = 0;
  const int enabled = sd_watchdog_enabled(/*unset_environment=*/0, &micros);
  return enabled > 0 ? absl::Microseconds(micros) : absl::InfiniteDuration();
}

void Say(const std::string& message) {
  sd_notify(/*unset_environment=*/0, message.c_str());
}

// A status is what follows up to the line's end.
std::string StatusLineOf(absl::string_view status) {
  return absl::StrCat("STATUS=", absl::StrReplaceAll(status, {{"\n", " "}}),
                      "\n");
}

}  // namespace

Supervisor::Supervisor(std::function<int64_t()> monotonic_nanos)
    : monotonic_nanos_(std::move(monotonic_nanos)),
      watchdog_period_(WatchdogPeriod()) {}

void Supervisor::Ready(absl::string_view status) {
  Say(absl::StrCat("READY=1\n", StatusLineOf(status)));
}

void Supervisor::Turned(absl::string_view status) {
  const int64_t now = monotonic_nanos_();
  std::string message;
  {
    const MutexLock lock(&mutex_);
    const absl::Duration since = absl::Nanoseconds(now - told_nanos_);
    const bool is_first = told_nanos_ == 0;
    const bool is_news = !stopping_ && status != told_status_;
    const bool is_due = since * kMessagesPerPeriod >= watchdog_period_;
    // A short period does not wait for the second to be over.
    if (!is_first && !is_due && (!is_news || since < kBetweenMessages)) return;
    if (is_news) {
      told_status_ = std::string(status);
      absl::StrAppend(&message, StatusLineOf(status));
    }
    if (watchdog_period_ != absl::InfiniteDuration()) {
      absl::StrAppend(&message, "WATCHDOG=1\n");
    }
    told_nanos_ = now;
  }
  if (!message.empty()) Say(message);
}

void Supervisor::Stopping(absl::string_view status) {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Say(absl::StrCat("STOPPING=1\n", StatusLineOf(status)));
}

}  // namespace penstock
