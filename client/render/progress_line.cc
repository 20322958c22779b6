#include "client/render/progress_line.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/render/quantity.h"

namespace penstock {

std::string Bar(double fraction, int width) {
  const int inner = std::max(0, width - 2);
  const double clamped = std::clamp(fraction, 0.0, 1.0);
  const int full = static_cast<int>(std::floor(clamped * inner));
  return absl::StrCat("[", std::string(full, '#'),
                      std::string(inner - full, '-'), "]");
}

namespace {

// " loss 2.31 "; a space where nothing computes one.
std::string LossPart(const ProgressRecord& record) {
  if (!record.has_loss()) return " ";
  return absl::StrCat(" loss ", LossText(record.loss()), "  ");
}

// Of float16 jobs alone.
std::string LossScaleText(const ProgressRecord& record) {
  if (record.loss_scale() <= 0) return "";
  return absl::StrCat("  scale ", record.loss_scale(),
                      record.skipped() ? "  skipped" : "");
}

// Of the steps that were evaluated.
std::string EvaluationText(const ProgressRecord& record) {
  if (!record.has_evaluation_loss()) return "";
  return absl::StrCat("  held-out loss ", LossText(record.evaluation_loss()));
}

}  // namespace

std::string LiveLine(const ProgressSnapshot& progress, int columns) {
  const ProgressRecord& record = progress.record;
  const std::string head = absl::StrCat(progress.name, "  ", record.step(), "/",
                                        progress.steps, " ");
  std::string tail =
      absl::StrCat(LossPart(record), RateText(record.tokens_per_second()),
                   " tok/s  ", SecondsText(record.step_seconds()),
                   "/step  bubble ", PercentText(record.bubble_fraction()),
                   LossScaleText(record), EvaluationText(record));
  if (progress.eta_seconds >= 0) {
    absl::StrAppend(&tail, "  ETA ", SecondsText(progress.eta_seconds));
  }
  const int room = columns - static_cast<int>(head.size() + tail.size());
  constexpr int kSmallestBar = 7;
  constexpr int kLargestBar = 32;
  std::string line = head;
  if (room >= kSmallestBar) {
    const double fraction =
        progress.steps > 0 ? static_cast<double>(record.step()) / progress.steps
                           : 0;
    absl::StrAppend(&line, Bar(fraction, std::min(room, kLargestBar)));
  }
  absl::StrAppend(&line, tail);
  return line.substr(0, std::max(0, columns));
}

std::string PlainLine(const ProgressSnapshot& progress) {
  const ProgressRecord& record = progress.record;
  std::string line = absl::StrCat(
      "step ", record.step(), "/", progress.steps, " ", LossPart(record),
      "tokens/s ", RateText(record.tokens_per_second()), "  step time ",
      SecondsText(record.step_seconds()), "  bubble ",
      PercentText(record.bubble_fraction()), LossScaleText(record),
      EvaluationText(record));
  if (progress.eta_seconds >= 0) {
    absl::StrAppend(&line, "  ETA ", SecondsText(progress.eta_seconds));
  }
  return line;
}

bool LineThinner::Shows(const ProgressRecord& record, int64_t steps) {
  const int64_t now = record.finished_unix_nanos();
  if (first_unix_nanos_ == 0) first_unix_nanos_ = now;
  const auto seconds_since = [now](int64_t then) {
    return 1e-9 * static_cast<double>(now - then);
  };
  const double interval =
      std::max(interval_seconds_, seconds_since(first_unix_nanos_) / 50);
  const bool is_wanted = record.step() == 1 || record.step() == steps ||
                         record.has_evaluation_loss();
  if (!is_wanted && seconds_since(shown_unix_nanos_) < interval) return false;
  shown_unix_nanos_ = now;
  return true;
}

double EtaEstimate::Update(const ProgressRecord& record, int64_t steps) {
  ++seen_;
  const double weight = std::max(1.0 / static_cast<double>(seen_), 0.05);
  mean_step_seconds_ += weight * (record.step_seconds() - mean_step_seconds_);
  const int64_t left = steps - record.step();
  if (left <= 0 || !std::isfinite(mean_step_seconds_)) return -1;
  return mean_step_seconds_ * static_cast<double>(left);
}

}  // namespace penstock
