#ifndef PENSTOCK_CLIENT_RENDER_LOSS_CURVE_H_
#define PENSTOCK_CLIENT_RENDER_LOSS_CURVE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock {

// The loss after one update.
struct LossPoint {
  int64_t step = 0;
  double loss = 0;
};

// A picture of the loss over the steps as a self-contained SVG: axes with round
// ticks, units, the title, and the last value. At most about 700 points are
// drawn, each the mean of its neighbours when there are more; a thin line then
// shows the unsmoothed range. Points that are not finite are left out. With no
// point the picture says so. Pure: equal arguments give equal text.
std::string LossCurveSvg(absl::string_view title,
                         const std::vector<LossPoint>& points);

// Round numbers that cover [low, high] in about `count` steps of 1, 2 or 5
// times a power of ten, ascending. Requires: low <= high, both finite.
std::vector<double> RoundTicks(double low, double high, int count);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_LOSS_CURVE_H_
