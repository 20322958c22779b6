#ifndef PENSTOCK_SCHEDULE_SIMULATOR_SVG_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_SVG_H_

#include <string>

#include "absl/types/span.h"
#include "schedule/simulator/run_view.h"
#include "schedule/simulator/svg_colours.h"

namespace penstock {

struct SvgOptions {
  ColourBy colour = ColourBy::kOp;
  // What the times are in: "s", or empty for the unit of the cost model.
  std::string time_unit;
  // What the red frame of marked actions says, in the legend.
  std::string mark_meaning = "differs";
  // Of the plot, in pixels: a long run is drawn smaller, its boxes without
  // numbers where these would not be readable.
  double max_width = 1500;
};

// The runs as an SVG document in the manner of the papers' figures, one below
// the other on one scale of time: a row a rank, from the first action to the
// last; a box a compute action with its microbatch (and version, where the
// schedule has several), a bar an update, idle time hatched. Above each its
// makespan, bubbles and peak of microbatches in flight; a legend; a time axis.
// Overlapped pairs have a common frame; marked actions a red one. Every box
// has its action and times as a tooltip. Messages that were recorded are lines
// from sender to receiver.
//
// Pure: equal arguments give equal bytes. Linear in the actions.
std::string TimelineSvg(absl::Span<const RunView> runs,
                        const SvgOptions& options = {});

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_SVG_H_
