#include "models/data/captions.h"

#include <algorithm>

#include "models/graph/graph.h"

namespace penstock {
namespace {

// The vocabulary: padding, four quadrants, two colours, the classes.
constexpr int64_t kFirstQuadrant = kPaddingToken + 1;
constexpr int64_t kFirstColor = kFirstQuadrant + 4;
constexpr int64_t kFirstClass = kFirstColor + 2;

}  // namespace

int64_t CaptionClasses(int64_t vocabulary) { return vocabulary - kFirstClass; }

void WriteCaption(const SyntheticImages& images, int64_t image,
                  absl::Span<int64_t> out) {
  const SyntheticImages::Content content = images.ContentOf(image);
  std::fill(out.begin(), out.end(), kPaddingToken);
  out[0] = kFirstQuadrant + images.QuadrantOf(content);
  out[1] = kFirstColor + static_cast<int64_t>(content.is_inverted);
  out[2] = kFirstClass + content.image_class;
}

}  // namespace penstock
