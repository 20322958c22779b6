#ifndef PENSTOCK_BASE_SUGGEST_H_
#define PENSTOCK_BASE_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock {

// "; did you mean \"learning_rate\"?" for the candidate nearest to `word` by
// edit distance, or "" when none is near (more than a third of its letters
// differ). Ties go to the first candidate.
std::string DidYouMean(absl::string_view word,
                       const std::vector<std::string>& candidates);

}  // namespace penstock

#endif  // PENSTOCK_BASE_SUGGEST_H_
