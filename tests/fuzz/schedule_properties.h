#ifndef PENSTOCK_TESTS_FUZZ_SCHEDULE_PROPERTIES_H_
#define PENSTOCK_TESTS_FUZZ_SCHEDULE_PROPERTIES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What holds for every schedule that can be printed: text and proto both ways
// give the same schedule, and the verifier, the descriptions of what it finds,
// the grid and the written-out run come to an end. INTERNAL says what does not
// hold, with the schedule.
absl::Status CheckSchedule(const Schedule& schedule);

// What holds for every text: it is refused with line and column and a short
// message, or read as a schedule of which the above holds. `*accepted`, if
// given, says which.
absl::Status CheckScheduleText(absl::string_view text,
                               bool* accepted = nullptr);

// What holds for the bytes of every message that may be a schedule: they are
// refused with a short message, or read as such a schedule.
absl::Status CheckScheduleMessage(const std::string& bytes,
                                  bool* accepted = nullptr);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_FUZZ_SCHEDULE_PROPERTIES_H_
