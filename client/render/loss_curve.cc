#include "client/render/loss_curve.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace penstock {
namespace {

constexpr int kWidth = 760;
constexpr int kHeight = 420;
constexpr int kLeft = 64;
constexpr int kRight = 24;
constexpr int kTop = 48;
constexpr int kBottom = 56;
constexpr int kMaxDrawn = 700;

// What one drawn point stands for.
struct Drawn {
  double step = 0;
  double mean = 0;
  double lowest = 0;
  double highest = 0;
};

std::vector<Drawn> Thin(const std::vector<LossPoint>& points) {
  std::vector<LossPoint> finite;
  for (const LossPoint& point : points) {
    if (std::isfinite(point.loss)) finite.push_back(point);
  }
  const size_t per_point = (finite.size() + kMaxDrawn - 1) / kMaxDrawn;
  std::vector<Drawn> drawn;
  for (size_t begin = 0; begin < finite.size(); begin += per_point) {
    const size_t end = std::min(begin + per_point, finite.size());
    const double count = static_cast<double>(end - begin);
    Drawn next{0, 0, finite[begin].loss, finite[begin].loss};
    for (size_t i = begin; i < end; ++i) {
      next.step += static_cast<double>(finite[i].step) / count;
      next.mean += finite[i].loss / count;
      next.lowest = std::min(next.lowest, finite[i].loss);
      next.highest = std::max(next.highest, finite[i].loss);
    }
    drawn.push_back(next);
  }
  return drawn;
}

// From data to pixels, both axes.
struct Frame {
  double first_step = 0;
  double last_step = 1;
  double lowest = 0;
  double highest = 1;

  double X(double step) const {
    return kLeft + (step - first_step) / (last_step - first_step) *
                       (kWidth - kLeft - kRight);
  }
  double Y(double loss) const {
    return kHeight - kBottom -
           (loss - lowest) / (highest - lowest) * (kHeight - kTop - kBottom);
  }
};

std::string EscapeXml(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Text(double x, double y, absl::string_view anchor, int size,
                 absl::string_view text, absl::string_view more = "") {
  return absl::StrFormat(
      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\"%s>%s"
      "</text>\n",
      x, y, anchor, size, more, EscapeXml(text));
}

std::string Head() {
  return absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" fill=\"#333\">\n"
      "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
      kWidth, kHeight, kWidth, kHeight, kWidth, kHeight);
}

std::string Line(double x1, double y1, double x2, double y2,
                 absl::string_view colour) {
  return absl::StrFormat(
      "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n",
      x1, y1, x2, y2, colour);
}

std::string Axes(const Frame& frame, const std::vector<double>& loss_ticks) {
  std::string svg;
  const double bottom = kHeight - kBottom;
  for (const double tick : loss_ticks) {
    const double y = frame.Y(tick);
    absl::StrAppend(
        &svg, Line(kLeft, y, kWidth - kRight, y, "#e4e4e4"),
        Text(kLeft - 8, y + 4, "end", 12, absl::StrFormat("%.6g", tick)));
  }
  for (const double tick : RoundTicks(frame.first_step, frame.last_step, 8)) {
    if (tick < frame.first_step || tick > frame.last_step ||
        tick != std::floor(tick)) {
      continue;
    }
    const double x = frame.X(tick);
    absl::StrAppend(
        &svg, Line(x, bottom, x, bottom + 5, "#888"),
        Text(x, bottom + 20, "middle", 12, absl::StrFormat("%.0f", tick)));
  }
  absl::StrAppend(
      &svg, Line(kLeft, bottom, kWidth - kRight, bottom, "#888"),
      Line(kLeft, kTop, kLeft, bottom, "#888"),
      Text((kLeft + kWidth - kRight) / 2.0, kHeight - 14, "middle", 13,
           "step (optimizer updates)"),
      Text(0, 0, "middle", 13, "loss (nats per token)",
           absl::StrFormat(" transform=\"translate(18 %.1f) rotate(-90)\"",
                           (kTop + bottom) / 2)));
  return svg;
}

std::string Curve(const Frame& frame, const std::vector<Drawn>& drawn) {
  std::string range;
  std::string line;
  bool thinned = false;
  for (const Drawn& point : drawn) {
    thinned = thinned || point.lowest < point.highest;
    absl::StrAppendFormat(&line, "%.1f,%.1f ", frame.X(point.step),
                          frame.Y(point.mean));
    absl::StrAppendFormat(&range, "M%.1f %.1fV%.1f", frame.X(point.step),
                          frame.Y(point.lowest), frame.Y(point.highest));
  }
  std::string svg;
  if (thinned) {
    absl::StrAppend(&svg, "<path d=\"", range,
                    "\" stroke=\"#a9c7e8\" fill=\"none\"/>\n");
  }
  if (!line.empty()) line.pop_back();
  absl::StrAppend(&svg, "<polyline points=\"", line,
                  "\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1.8\" "
                  "stroke-linejoin=\"round\"/>\n");
  const double x = frame.X(drawn.back().step);
  const double y = frame.Y(drawn.back().mean);
  absl::StrAppendFormat(
      &svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"#1f5fa8\"/>\n", x,
      y);
  return svg;
}

}  // namespace

std::vector<double> RoundTicks(double low, double high, int count) {
  if (high <= low) return {low};
  const double raw = (high - low) / std::max(1, count);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = power;
  for (const double factor : {2.0, 5.0, 10.0}) {
    if (step < raw * 0.999) step = factor * power;
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9);
  // The bound on `i` only matters where doubles are too coarse for `step`.
  for (int i = 0; i < 3 * count + 3; ++i) {
    ticks.push_back((first + i) * step);
    if (ticks.back() >= high - 1e-9 * step) break;
  }
  return ticks;
}

std::string LossCurveSvg(absl::string_view title,
                         const std::vector<LossPoint>& points) {
  const std::vector<Drawn> drawn = Thin(points);
  std::string svg = Head();
  absl::StrAppend(&svg,
                  Text(kLeft, 28, "start", 16, title, " font-weight=\"bold\""));
  if (drawn.empty()) {
    absl::StrAppend(&svg, Text(kWidth / 2.0, kHeight / 2.0, "middle", 14,
                               "no finished step"));
    return absl::StrCat(svg, "</svg>\n");
  }
  Frame frame;
  frame.first_step = drawn.front().step;
  frame.last_step = std::max(drawn.back().step, frame.first_step + 1);
  double lowest = drawn.front().lowest;
  double highest = drawn.front().highest;
  for (const Drawn& point : drawn) {
    lowest = std::min(lowest, point.lowest);
    highest = std::max(highest, point.highest);
  }
  // A flat curve still needs an axis.
  const double least_range = std::max(1e-6, 1e-6 * std::abs(lowest));
  if (highest - lowest < least_range) {
    highest += least_range;
    lowest -= least_range;
  }
  const std::vector<double> ticks = RoundTicks(lowest, highest, 6);
  frame.lowest = ticks.front();
  frame.highest = ticks.back();
  absl::StrAppend(&svg, Axes(frame, ticks), Curve(frame, drawn),
                  Text(kWidth - kRight, 28, "end", 13,
                       absl::StrFormat("step %d: loss %.4g", points.back().step,
                                       points.back().loss)));
  return absl::StrCat(svg, "</svg>\n");
}

}  // namespace penstock
