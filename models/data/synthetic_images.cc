#include "models/data/synthetic_images.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/random.h"
#include "models/layers/stateless_fill.h"

namespace penstock {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kNoise = 0.3;
// Of neighbouring stripes, in pixels.
constexpr double kWideStripes = 6;
constexpr double kNarrowStripes = 3;

// What is drawn of an image; part of what the data is.
enum class Draw : uint64_t { kClass, kTop, kLeft, kHeight, kWidth, kSign };

}  // namespace

SyntheticImages::SyntheticImages(uint64_t seed, const Shape& shape)
    : seed_(seed), shape_(shape) {}

SyntheticImages::Content SyntheticImages::ContentOf(int64_t image) const {
  const auto draw = [&](Draw what, int64_t below) {
    return static_cast<int64_t>(
        RandomKey(seed_, {NameKey("image"), static_cast<uint64_t>(image),
                          static_cast<uint64_t>(what)}) %
        static_cast<uint64_t>(below));
  };
  // Half to three quarters of a side.
  const auto side = [&](Draw what, int64_t whole) {
    return (whole + 1) / 2 + draw(what, whole / 4 + 1);
  };
  Content content;
  content.image_class = draw(Draw::kClass, shape_.classes);
  content.height = side(Draw::kHeight, shape_.height);
  content.width = side(Draw::kWidth, shape_.width);
  content.top = draw(Draw::kTop, shape_.height - content.height + 1);
  content.left = draw(Draw::kLeft, shape_.width - content.width + 1);
  content.is_inverted = draw(Draw::kSign, 2) == 1;
  return content;
}

int64_t SyntheticImages::QuadrantOf(const Content& content) const {
  const bool is_low = 2 * content.top > shape_.height - content.height;
  const bool is_right = 2 * content.left > shape_.width - content.width;
  return 2 * static_cast<int64_t>(is_low) + static_cast<int64_t>(is_right);
}

SyntheticImages::Pattern SyntheticImages::PatternOf(int64_t image_class) const {
  const double angle = kPi * static_cast<double>(image_class) /
                       static_cast<double>(shape_.classes);
  const double frequency =
      2 * kPi / (image_class % 2 == 0 ? kWideStripes : kNarrowStripes);
  Pattern pattern = {frequency * std::sin(angle), frequency * std::cos(angle),
                     std::vector<float>(static_cast<size_t>(shape_.channels))};
  FillUniform(RandomKey(seed_, {NameKey("image class"),
                                static_cast<uint64_t>(image_class)}),
              /*bound=*/1.0, absl::MakeSpan(pattern.color));
  // Every class is to be seen in every channel.
  for (float& strength : pattern.color) {
    strength += strength < 0 ? -0.5f : 0.5f;
  }
  return pattern;
}

void SyntheticImages::Pixels(int64_t image, absl::Span<float> out) const {
  const Content content = ContentOf(image);
  const Pattern pattern = PatternOf(content.image_class);
  FillNormal(
      RandomKey(seed_, {NameKey("image noise"), static_cast<uint64_t>(image)}),
      kNoise, out);
  const int64_t plane = shape_.height * shape_.width;
  for (int64_t i = 0; i < content.height; ++i) {
    for (int64_t j = 0; j < content.width; ++j) {
      const double phase = pattern.row_frequency * static_cast<double>(i) +
                           pattern.column_frequency * static_cast<double>(j);
      const double stripe =
          (content.is_inverted ? -1.0 : 1.0) * std::cos(phase);
      const int64_t place = (content.top + i) * shape_.width + content.left + j;
      for (int64_t c = 0; c < shape_.channels; ++c) {
        out[static_cast<size_t>(c * plane + place)] +=
            static_cast<float>(stripe) * pattern.color[static_cast<size_t>(c)];
      }
    }
  }
}

void SyntheticImages::Mask(int64_t image, absl::Span<int64_t> out) const {
  const Content content = ContentOf(image);
  std::fill(out.begin(), out.end(), 0);
  for (int64_t i = 0; i < content.height; ++i) {
    const auto row =
        out.begin() + (content.top + i) * shape_.width + content.left;
    std::fill(row, row + content.width, content.image_class + 1);
  }
}

}  // namespace penstock
