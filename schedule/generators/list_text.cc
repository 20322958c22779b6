#include "schedule/generators/list_text.h"

#include "absl/strings/str_join.h"
#include "schedule/ir/text_format.h"

namespace penstock {

std::string ListText(const Schedule& schedule, int rank) {
  return absl::StrJoin(schedule.ranks[rank], " ",
                       [](std::string* out, const Action& action) {
                         out->append(ToString(action));
                       });
}

}  // namespace penstock
