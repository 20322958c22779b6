#ifndef PENSTOCK_CLIENT_RENDER_QUANTITY_H_
#define PENSTOCK_CLIENT_RENDER_QUANTITY_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace penstock {

// Quantities as people read them: three significant digits, a blank before the
// unit. Pure; "-" for a number that is not finite.

std::string LossText(double loss);         // "2.913"
std::string RateText(double per_second);   // "950", "12.3k", "1.25M"
std::string PercentText(double fraction);  // "21.3 %"
std::string SecondsText(double seconds);   // "45.1 ms", "2.5 s", "1m 05s"
std::string CountText(int64_t count);      // "1,234,567"
std::string BytesText(int64_t bytes);      // "950 B", "12.3 KiB", "1.25 GiB"

// "2025-03-01 12:30:05" in `zone`; "" for 0, which is a time not yet come.
std::string TimeText(int64_t unix_nanos, absl::TimeZone zone);
// RFC 3339 in UTC with milliseconds, for programs; "" for 0.
std::string StableTimeText(int64_t unix_nanos);
// "3s", "12m", "5h", "2d": how long ago, in one unit.
std::string AgeText(int64_t unix_nanos, absl::Time now);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_QUANTITY_H_
