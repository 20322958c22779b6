#include "schedule/simulator/svg.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "schedule/ir/text_format.h"
#include "schedule/simulator/summary.h"

namespace penstock {
namespace {

// All in pixels.
constexpr double kLeft = 76;
constexpr double kRight = 20;
constexpr double kRow = 24;
constexpr double kRowWithVersions = 30;
constexpr double kRowGap = 4;
constexpr double kTitle = 40;
constexpr double kAxis = 30;
constexpr double kLegend = 30;
constexpr double kLeastWidth = 560;
constexpr double kBoxWanted = 20;
constexpr double kLeastFont = 5;
constexpr double kMostFont = 11;
// Of a letter's height.
constexpr double kLetterWidth = 0.58;

// Short, and the same on every machine.
std::string Num(double pixels) {
  return absl::StrCat(std::round(pixels * 100) / 100);
}

std::string TimeText(double time) { return absl::StrFormat("%.6g", time); }

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

double TextWidth(size_t letters, double font) {
  return static_cast<double>(letters) * font * kLetterWidth;
}

// What stands in a box: the microbatch.
std::string LabelOf(const Action& action) {
  std::string label = absl::StrCat(action.microbatch.value());
  if (action.num_microbatches == 2) {
    absl::StrAppend(&label, "+", action.microbatch.value() + 1);
  }
  if (action.half == Half::kFirst) label += ".0";
  if (action.half == Half::kSecond) label += ".1";
  return label;
}

// With the version that it is computed with, which the schedule's rule says
// where the lists do not.
Action WithVersion(const Schedule& schedule, Action action) {
  const size_t stage = action.stage.value();
  if (action.version.has_value() || stage >= schedule.versions.size()) {
    return action;
  }
  const VersionRule& rule = schedule.versions[stage];
  action.version = std::max(
      0, action.microbatch.value() / rule.microbatches_per_update - rule.delay);
  return action;
}

// A round step of time that gives about ten ticks.
double TickStep(double makespan) {
  const double wanted = makespan / 10;
  const double power = std::pow(10, std::floor(std::log10(wanted)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= wanted * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

// What occurs in the runs: the legend explains just that.
struct Contents {
  std::set<Op> ops;
  bool pairs = false, updates = false, versions = false, marks = false;
  int microbatches = 0;
  // Of any run's last action, and the shortest time of a compute action.
  double end = 0;
  double shortest = 0;
};

void Look(const RunView& run, Contents* contents) {
  for (size_t rank = 0; rank < run.timeline->ranks.size(); ++rank) {
    const std::vector<TimelineEvent>& events = run.timeline->ranks[rank];
    for (size_t i = 0; i < events.size(); ++i) {
      const Action& action = run.schedule->ranks[rank][i];
      contents->end = std::max(contents->end, events[i].end);
      contents->updates |= action.op == Op::kUpdate;
      contents->marks |= run.IsMarked(rank, i);
      if (!IsCompute(action.op)) continue;
      contents->ops.insert(action.op);
      contents->pairs |= action.overlaps_next;
      contents->versions |=
          WithVersion(*run.schedule, action).version.has_value();
      contents->microbatches =
          std::max(contents->microbatches, action.microbatch.value() + 1);
      const double took = events[i].end - events[i].start;
      if (took > 0 && (contents->shortest == 0 || took < contents->shortest)) {
        contents->shortest = took;
      }
    }
  }
}

class Page {
 public:
  Page(absl::Span<const RunView> runs, const SvgOptions& options)
      : runs_(runs), options_(options) {
    for (const RunView& run : runs) Look(run, &contents_);
    row_ = contents_.versions ? kRowWithVersions : kRow;
    const double end = contents_.end > 0 ? contents_.end : 1;
    const double shortest = contents_.shortest > 0 ? contents_.shortest : end;
    scale_ = std::min(std::max(kBoxWanted / shortest, kLeastWidth / end),
                      options.max_width / end);
    plot_ = std::max(scale_ * end, kLeastWidth);
  }

  std::string Draw() && {
    double top = kLegend;
    std::string body = Legend();
    for (const RunView& run : runs_) {
      DrawRun(run, &top, &body);
    }
    return absl::StrCat(Head(kLeft + plot_ + kRight, top), body, "</svg>\n");
  }

 private:
  double X(double time) const { return kLeft + time * scale_; }

  std::string Head(double width, double height) const {
    return absl::StrCat(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", Num(width),
        "\" height=\"", Num(height), "\" viewBox=\"0 0 ", Num(width), " ",
        Num(height),
        "\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"11\">\n"
        "<defs><pattern id=\"idle\" width=\"6\" height=\"6\" "
        "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
        "<rect width=\"6\" height=\"6\" fill=\"#fafafa\"/>"
        "<line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" stroke=\"#d5d5d5\" "
        "stroke-width=\"2\"/></pattern></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
  }

  // One entry: swatches beside each other, then what they mean.
  void LegendEntry(const std::vector<std::string>& fills,
                   absl::string_view stroke, const std::string& text, double* x,
                   std::string* out) const {
    for (const std::string& fill : fills) {
      absl::StrAppend(out, "<rect x=\"", Num(*x),
                      "\" y=\"9\" width=\"12\" height=\"12\" fill=\"", fill,
                      "\" stroke=\"", stroke, "\"/>");
      *x += 13;
    }
    absl::StrAppend(out, "<text x=\"", Num(*x + 4),
                    "\" y=\"19\" fill=\"#333333\">", text, "</text>\n");
    *x += TextWidth(text.size(), 11) + 18;
  }

  void LegendOfOps(double* x, std::string* out) const {
    static constexpr std::pair<Op, const char*> kMeanings[] = {
        {Op::kForward, "forward"},
        {Op::kBackward, "backward"},
        {Op::kBackwardInput, "input gradient"},
        {Op::kBackwardWeight, "weight gradient"},
        {Op::kRecompute, "recompute"}};
    const Shades shades(*runs_.front().schedule);
    for (const auto& [op, meaning] : kMeanings) {
      if (contents_.ops.count(op) == 0) continue;
      std::vector<std::string> fills;
      for (int shade = 0; shade < std::min(shades.count(), 4); ++shade) {
        fills.push_back(Lighter(ColourOf(op), shades.Lightness(shade)).Hex());
      }
      LegendEntry(fills, "none", absl::StrCat(ToString(op), " ", meaning), x,
                  out);
    }
    if (shades.count() > 1) {
      LegendEntry({}, "none",
                  absl::StrCat("(lighter: later ", shades.noun(), ")"), x, out);
    }
  }

  std::string Legend() const {
    std::string out;
    double x = kLeft;
    if (options_.colour == ColourBy::kOp) {
      LegendOfOps(&x, &out);
    } else {
      for (Op op : contents_.ops) {
        std::vector<std::string> fills;
        for (int b = 0; b < std::min(contents_.microbatches, 4); ++b) {
          fills.push_back(ColourOf(MicrobatchId(b), op).Hex());
        }
        LegendEntry(fills, "none", absl::StrCat(ToString(op), " of 0, 1, ..."),
                    &x, &out);
      }
    }
    if (contents_.updates) LegendEntry({"#262626"}, "none", "update", &x, &out);
    if (contents_.pairs) LegendEntry({"none"}, "#000000", "overlap", &x, &out);
    if (contents_.marks) {
      LegendEntry({"none"}, "#e00000", options_.mark_meaning, &x, &out);
    }
    LegendEntry({"url(#idle)"}, "#d5d5d5", "idle", &x, &out);
    return out;
  }

  void DrawRun(const RunView& run, double* top, std::string* out) const {
    const TimelineSummary summary = Summarise(*run.schedule, *run.timeline);
    double peak = 0;
    for (const RankSummary& rank : summary.ranks) {
      peak = std::max(peak, rank.peak_in_flight);
    }
    absl::StrAppend(
        out, "<text x=\"", Num(kLeft), "\" y=\"", Num(*top + 16),
        "\" font-size=\"13\" font-weight=\"bold\">", Escaped(run.Title()),
        "</text>\n<text x=\"", Num(kLeft), "\" y=\"", Num(*top + 31),
        "\" fill=\"#555555\">", "makespan ", TimeText(summary.makespan),
        Escaped(options_.time_unit.empty()
                    ? ""
                    : absl::StrCat(" ", options_.time_unit)),
        absl::StrFormat(", bubble %.1f %% (span %.1f %%)",
                        100 * summary.sync_bubble, 100 * summary.span_bubble),
        ", in flight ", TimeText(peak), "</text>\n");
    *top += kTitle;
    const double bottom =
        *top + run.schedule->num_ranks() * (row_ + kRowGap) - kRowGap;
    for (int rank = 0; rank < run.schedule->num_ranks(); ++rank) {
      DrawRank(run, rank, *top + rank * (row_ + kRowGap), out);
    }
    DrawTransfers(run, *top, out);
    DrawAxis(summary.makespan, bottom, out);
    *top = bottom + kAxis;
  }

  void DrawRank(const RunView& run, int rank, double y,
                std::string* out) const {
    absl::StrAppend(out, "<text x=\"", Num(kLeft - 8), "\" y=\"",
                    Num(y + row_ / 2 + 4), "\" text-anchor=\"end\">r", rank,
                    "</text>\n");
    double end = 0;
    for (const auto& events : run.timeline->ranks) {
      if (!events.empty()) end = std::max(end, events.back().end);
    }
    absl::StrAppend(out, "<rect x=\"", Num(kLeft), "\" y=\"", Num(y),
                    "\" width=\"", Num(end * scale_), "\" height=\"", Num(row_),
                    "\" fill=\"url(#idle)\"/>\n");
    const Shades shades(*run.schedule);
    const std::vector<TimelineEvent>& events = run.timeline->ranks[rank];
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i].end < 0) continue;
      const Action& action = run.schedule->ranks[rank][i];
      if (IsCompute(action.op)) {
        DrawBox(WithVersion(*run.schedule, action), events[i],
                BoxColour(options_.colour, shades, RankId(rank), action),
                run.IsMarked(rank, i), y, out);
      } else if (action.op == Op::kUpdate) {
        DrawUpdate(action, events[i], y, out);
      }
    }
    DrawPairs(run, rank, y, out);
  }

  void DrawBox(const Action& action, const TimelineEvent& event, Colour colour,
               bool marked, double y, std::string* out) const {
    const double x = X(event.start);
    const double width = std::max(X(event.end) - x, 0.5);
    // A thin frame in the paper's colour parts boxes that touch.
    const bool framed = width >= 4;
    absl::StrAppend(out, "<g><title>", Escaped(ToString(action)), ", ",
                    TimeText(event.start), " to ", TimeText(event.end),
                    "</title><rect x=\"", Num(x), "\" y=\"", Num(y),
                    "\" width=\"", Num(width), "\" height=\"", Num(row_),
                    "\" fill=\"", colour.Hex(), "\"",
                    marked   ? " stroke=\"#e00000\" stroke-width=\"2\""
                    : framed ? " stroke=\"#ffffff\" stroke-width=\"0.8\""
                             : "",
                    "/>");
    const std::string label = LabelOf(action);
    const std::string ink = colour.IsDark() ? "#ffffff" : "#000000";
    const double centre = x + width / 2;
    const bool two_lines = action.version.has_value();
    Label(label, centre, y + (two_lines ? row_ / 2 - 1 : row_ / 2 + 4),
          width - 2, kMostFont, ink, out);
    if (two_lines) {
      Label(absl::StrCat("v", *action.version), centre, y + row_ - 5, width - 2,
            8, ink, out);
    }
    absl::StrAppend(out, "</g>\n");
  }

  // Centred, as large as fits; nothing where that would not be readable.
  static void Label(const std::string& text, double x, double y, double width,
                    double most_font, const std::string& ink,
                    std::string* out) {
    const double font = std::min(most_font, width / TextWidth(text.size(), 1));
    if (font < kLeastFont) return;
    absl::StrAppend(out, "<text x=\"", Num(x), "\" y=\"", Num(y),
                    "\" text-anchor=\"middle\" font-size=\"", Num(font),
                    "\" fill=\"", ink, "\">", text, "</text>");
  }

  void DrawUpdate(const Action& action, const TimelineEvent& event, double y,
                  std::string* out) const {
    const double x = X(event.start);
    absl::StrAppend(out, "<g><title>", Escaped(ToString(action)), ", ",
                    TimeText(event.start), " to ", TimeText(event.end),
                    "</title><rect x=\"", Num(x - 1), "\" y=\"", Num(y - 2),
                    "\" width=\"", Num(std::max(X(event.end) - x, 2.0)),
                    "\" height=\"", Num(row_ + 4),
                    "\" fill=\"#262626\"/></g>\n");
  }

  // Frames over the boxes, so that the second box does not hide them.
  void DrawPairs(const RunView& run, int rank, double y,
                 std::string* out) const {
    const std::vector<Action>& actions = run.schedule->ranks[rank];
    const std::vector<TimelineEvent>& events = run.timeline->ranks[rank];
    for (size_t i = 0; i < events.size(); ++i) {
      if (!actions[i].overlaps_next || events[i].end < 0) continue;
      size_t second = i + 1;
      while (second < events.size() && !IsCompute(actions[second].op)) ++second;
      if (second == events.size() || events[second].end < 0) continue;
      absl::StrAppend(
          out, "<rect x=\"", Num(X(events[i].start)), "\" y=\"", Num(y),
          "\" width=\"", Num((events[second].end - events[i].start) * scale_),
          "\" height=\"", Num(row_), "\" fill=\"none\" stroke=\"#000000\"/>\n");
    }
  }

  void DrawTransfers(const RunView& run, double top, std::string* out) const {
    const auto middle = [&](RankId rank) {
      return top + rank.value() * (row_ + kRowGap) + row_ / 2;
    };
    for (const Transfer& transfer : run.timeline->transfers) {
      if (transfer.end <= transfer.start) continue;
      absl::StrAppend(out, "<line x1=\"", Num(X(transfer.start)), "\" y1=\"",
                      Num(middle(transfer.from)), "\" x2=\"",
                      Num(X(transfer.end)), "\" y2=\"",
                      Num(middle(transfer.to)),
                      "\" stroke=\"#00000066\" stroke-width=\"0.8\"/>\n");
    }
  }

  void DrawAxis(double makespan, double y, std::string* out) const {
    if (makespan <= 0) return;
    const double step = TickStep(makespan);
    absl::StrAppend(out, "<g fill=\"#555555\" stroke=\"none\">\n");
    for (int tick = 0; tick * step <= makespan * (1 + 1e-9); ++tick) {
      const std::string x = Num(X(tick * step));
      absl::StrAppend(out, "<line x1=\"", x, "\" y1=\"", Num(y + 3), "\" x2=\"",
                      x, "\" y2=\"", Num(y + 7),
                      "\" stroke=\"#555555\"/><text x=\"", x, "\" y=\"",
                      Num(y + 18), "\" text-anchor=\"middle\">",
                      TimeText(tick * step), "</text>\n");
    }
    absl::StrAppend(out, "<text x=\"", Num(kLeft - 8), "\" y=\"", Num(y + 18),
                    "\" text-anchor=\"end\">",
                    options_.time_unit.empty()
                        ? "time"
                        : absl::StrCat("time, ", Escaped(options_.time_unit)),
                    "</text></g>\n");
  }

  const absl::Span<const RunView> runs_;
  const SvgOptions& options_;
  Contents contents_;
  double row_ = kRow;
  // Pixels for one unit of time.
  double scale_ = 1;
  double plot_ = kLeastWidth;
};

}  // namespace

std::string TimelineSvg(absl::Span<const RunView> runs,
                        const SvgOptions& options) {
  if (runs.empty()) {
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" "
           "height=\"1\"/>\n";
  }
  return Page(runs, options).Draw();
}

}  // namespace penstock
