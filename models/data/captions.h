#ifndef PENSTOCK_MODELS_DATA_CAPTIONS_H_
#define PENSTOCK_MODELS_DATA_CAPTIONS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "models/data/synthetic_images.h"

namespace penstock {

// A caption says of a synthetic image where its rectangle is, whether its
// colour is the opposite one, and which class it is: three words, then
// kPaddingToken.
inline constexpr int64_t kCaptionWords = 3;

// Classes that captions of this vocabulary can name; not positive where there
// is room for none.
int64_t CaptionClasses(int64_t vocabulary);

// Requires: `out` has room for kCaptionWords at least.
void WriteCaption(const SyntheticImages& images, int64_t image,
                  absl::Span<int64_t> out);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_DATA_CAPTIONS_H_
