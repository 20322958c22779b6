#include "client/render/quantity.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace penstock {
namespace {

// Three significant digits of 1 <= value < 1000, without an exponent.
std::string ThreeDigits(double value) {
  if (value >= 99.95) return absl::StrFormat("%.0f", value);
  if (value >= 9.995) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.2f", value);
}

}  // namespace

std::string LossText(double loss) {
  if (!std::isfinite(loss)) return std::isnan(loss) ? "nan" : "inf";
  return absl::StrFormat("%#.4g", loss);
}

std::string RateText(double per_second) {
  if (!std::isfinite(per_second) || per_second < 0) return "-";
  if (per_second < 999.5) return absl::StrFormat("%.3g", per_second);
  if (per_second < 999.5e3) return ThreeDigits(per_second / 1e3) + "k";
  if (per_second < 999.5e6) return ThreeDigits(per_second / 1e6) + "M";
  return ThreeDigits(per_second / 1e9) + "G";
}

std::string PercentText(double fraction) {
  if (!std::isfinite(fraction)) return "-";
  return absl::StrFormat("%.1f %%", 100 * fraction);
}

std::string SecondsText(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  if (seconds < 0.9995) return absl::StrFormat("%.3g ms", 1e3 * seconds);
  if (seconds < 59.95) return absl::StrFormat("%.1f s", seconds);
  const int64_t whole = std::llround(std::min(seconds, 1e12));
  if (whole < 3600) {
    return absl::StrFormat("%dm %02ds", whole / 60, whole % 60);
  }
  return absl::StrFormat("%dh %02dm", whole / 3600, whole % 3600 / 60);
}

std::string BytesText(int64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  for (const char* unit : {" KiB", " MiB", " GiB"}) {
    if (value < 999.5) {
      return absl::StrCat(
          value < 1 ? absl::StrFormat("%.2f", value) : ThreeDigits(value),
          unit);
    }
    value /= 1024;
  }
  return absl::StrCat(value < 1 ? absl::StrFormat("%.2f", value)
                                : absl::StrFormat("%.3g", value),
                      " TiB");
}

std::string CountText(int64_t count) {
  std::string digits = absl::StrCat(count);
  const int first = count < 0 ? 1 : 0;
  for (int place = static_cast<int>(digits.size()) - 3; place > first;
       place -= 3) {
    digits.insert(place, 1, ',');
  }
  return digits;
}

std::string TimeText(int64_t unix_nanos, absl::TimeZone zone) {
  if (unix_nanos == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixNanos(unix_nanos),
                          zone);
}

std::string StableTimeText(int64_t unix_nanos) {
  if (unix_nanos == 0) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                          absl::FromUnixNanos(unix_nanos), absl::UTCTimeZone());
}

std::string AgeText(int64_t unix_nanos, absl::Time now) {
  if (unix_nanos == 0) return "";
  const int64_t seconds = std::max<int64_t>(
      0, absl::ToInt64Seconds(now - absl::FromUnixNanos(unix_nanos)));
  if (seconds < 120) return absl::StrCat(seconds, "s");
  if (seconds < 7200) return absl::StrCat(seconds / 60, "m");
  if (seconds < 2 * 86400) return absl::StrCat(seconds / 3600, "h");
  return absl::StrCat(seconds / 86400, "d");
}

}  // namespace penstock
