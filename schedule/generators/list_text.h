#ifndef PENSTOCK_SCHEDULE_GENERATORS_LIST_TEXT_H_
#define PENSTOCK_SCHEDULE_GENERATORS_LIST_TEXT_H_

#include <string>

#include "schedule/ir/schedule.h"

namespace penstock {

// One rank's list as it is written, for tests: "0F0 0F1 0B0 0B1".
std::string ListText(const Schedule& schedule, int rank);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_LIST_TEXT_H_
