#ifndef PENSTOCK_CLIENT_SCHEDULES_GALLERY_H_
#define PENSTOCK_CLIENT_SCHEDULES_GALLERY_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// docs/schedules.md and its pictures.
struct Gallery {
  std::string page;
  // SVG by path below docs/, "images/schedules/zbv.svg".
  std::map<std::string, std::string> pictures;
};

// The page with what stands between its markers made anew, the rest as it is:
//
//   <!-- picture zbv --ranks 4 --microbatches 8 -->
//   <!-- end -->
//   <!-- table --ranks 4,8 -->
//   <!-- end -->
//
// A picture takes a schedule's name, and may take --param name=value and
// --periods n. The table has a row for each schedule, for each of the numbers
// of ranks with twice as many microbatches. Times are tF = tI = tW = 1.
// Pure: equal pages give equal bytes.
//   INVALID_ARGUMENT  a marker that is none, with its line; a schedule that
//                     cannot be made so.
absl::StatusOr<Gallery> MakeGallery(absl::string_view page);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_SCHEDULES_GALLERY_H_
