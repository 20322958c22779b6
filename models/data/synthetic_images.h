#ifndef PENSTOCK_MODELS_DATA_SYNTHETIC_IMAGES_H_
#define PENSTOCK_MODELS_DATA_SYNTHETIC_IMAGES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock {

// Images with something to learn in them, and no file: in noise stands a
// rectangle of stripes whose direction, width and colour are its class's. An
// image is a function of (seed, its number), the same on every rank.
// Immutable, thread-safe.
class SyntheticImages {
 public:
  struct Shape {
    int64_t channels = 0;
    int64_t height = 0;
    int64_t width = 0;
    // At least 1; the seed decides what they look like.
    int64_t classes = 0;
  };

  // What an image shows.
  struct Content {
    int64_t image_class = 0;
    // The rectangle: half to three quarters of each side.
    int64_t top = 0;
    int64_t left = 0;
    int64_t height = 0;
    int64_t width = 0;
    // Its colour, or the opposite one.
    bool is_inverted = false;
  };

  SyntheticImages(uint64_t seed, const Shape& shape);

  const Shape& shape() const { return shape_; }

  Content ContentOf(int64_t image) const;

  // 0 to 3: where the rectangle is, from the upper left line by line.
  int64_t QuadrantOf(const Content& content) const;

  // Writes [channels, height, width], about 1 in size. Some 30 ns a number.
  // Requires: `out` has that size.
  void Pixels(int64_t image, absl::Span<float> out) const;

  // Writes [height, width]: class + 1 in the rectangle, else 0.
  void Mask(int64_t image, absl::Span<int64_t> out) const;

 private:
  // What the stripes of a class look like.
  struct Pattern {
    double row_frequency = 0;
    double column_frequency = 0;
    // By channel.
    std::vector<float> color;
  };

  Pattern PatternOf(int64_t image_class) const;

  const uint64_t seed_;
  const Shape shape_;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_DATA_SYNTHETIC_IMAGES_H_
