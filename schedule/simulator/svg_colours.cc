#include "schedule/simulator/svg_colours.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace penstock {
namespace {

int Byte(double part) {
  return static_cast<int>(std::lround(std::clamp(part, 0.0, 1.0) * 255));
}

// One channel of a colour given by hue (degrees), saturation and lightness.
double Channel(double offset, double hue, double saturation, double lightness) {
  const double k = std::fmod(offset + hue / 30, 12);
  const double amplitude = saturation * std::min(lightness, 1 - lightness);
  return lightness - amplitude * std::max(-1.0, std::min({k - 3, 9 - k, 1.0}));
}

template <typename Item>
int IndexIn(const std::vector<Item>& list, Item item) {
  return static_cast<int>(std::find(list.begin(), list.end(), item) -
                          list.begin());
}

}  // namespace

std::string Colour::Hex() const {
  return absl::StrFormat("#%02x%02x%02x", Byte(red), Byte(green), Byte(blue));
}

bool Colour::IsDark() const {
  return 0.299 * red + 0.587 * green + 0.114 * blue < 0.6;
}

Colour ColourOf(Op op) {
  switch (op) {
    case Op::kForward:
      return {0.20, 0.40, 0.67};  // blue
    case Op::kBackward:
      return {0.78, 0.42, 0.12};  // orange
    case Op::kBackwardInput:
      return {0.85, 0.62, 0.10};  // amber
    case Op::kBackwardWeight:
      return {0.13, 0.50, 0.27};  // green
    case Op::kRecompute:
      return {0.55, 0.36, 0.64};  // purple
    default:
      return {0.15, 0.15, 0.15};
  }
}

Colour ColourOf(MicrobatchId microbatch, Op op) {
  // Steps of the golden angle never come back to a hue.
  const double hue = std::fmod(210 + 137.508 * microbatch.value(), 360);
  double lightness = 0.45;
  if (op == Op::kForward) lightness = 0.78;
  if (op == Op::kBackwardWeight) lightness = 0.62;
  return {Channel(0, hue, 0.55, lightness), Channel(8, hue, 0.55, lightness),
          Channel(4, hue, 0.55, lightness)};
}

Colour Lighter(Colour colour, double by) {
  const auto mix = [by](double part) { return part + (1 - part) * by; };
  return {mix(colour.red), mix(colour.green), mix(colour.blue)};
}

Shades::Shades(const Schedule& schedule) : held_(schedule.num_ranks()) {
  size_t most_copies = 1, most_held = 1;
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    most_copies = std::max(most_copies, schedule.placement[stage].size());
    for (RankId rank : schedule.placement[stage]) {
      if (rank.value() < 0 || rank.value() >= schedule.num_ranks()) continue;
      held_[rank.value()].push_back(StageId(stage));
      most_held = std::max(most_held, held_[rank.value()].size());
    }
  }
  // Replicas of a stage are on ranks that hold nothing else.
  copies_ = most_copies > 1 && most_held > 1;
  count_ = static_cast<int>(copies_ ? most_copies : most_held);
  if (!copies_) return;
  const std::vector<RankId>& first = schedule.placement[0];
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    const int copy = IndexIn(first, RankId(rank));
    for (const Action& action : schedule.ranks[rank]) {
      if (action.op != Op::kForward || action.stage != StageId(0)) continue;
      const size_t end = action.microbatch.value() + action.num_microbatches;
      if (copy_of_.size() < end) copy_of_.resize(end);
      std::fill(copy_of_.begin() + action.microbatch.value(),
                copy_of_.begin() + end, copy);
    }
  }
}

double Shades::LightnessOf(RankId rank, const Action& action) const {
  if (!copies_) return Lightness(IndexIn(held_[rank.value()], action.stage));
  const size_t microbatch = action.microbatch.value();
  return microbatch < copy_of_.size() ? Lightness(copy_of_[microbatch]) : 0;
}

double Shades::Lightness(int shade) const {
  if (count_ == 1) return 0;
  return 0.6 * std::min(shade, count_ - 1) / (count_ - 1);
}

Colour BoxColour(ColourBy by, const Shades& shades, RankId rank,
                 const Action& action) {
  if (by == ColourBy::kMicrobatch) {
    return ColourOf(action.microbatch, action.op);
  }
  return Lighter(ColourOf(action.op), shades.LightnessOf(rank, action));
}

}  // namespace penstock
