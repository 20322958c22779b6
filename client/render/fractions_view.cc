#include "client/render/fractions_view.h"

#include "absl/strings/str_cat.h"
#include "client/render/quantity.h"

namespace penstock {

using nlohmann::ordered_json;

std::string FractionsText(const Fractions& fractions) {
  if (fractions.runtime() <= 0) return "";
  std::string text;
  if (fractions.kernel() > 0) {
    absl::StrAppend(&text, "kernel ", PercentText(fractions.kernel()), " x ");
  }
  return absl::StrCat(text, "balance ", PercentText(fractions.balance()),
                      " x schedule ", PercentText(fractions.schedule()),
                      " x runtime ", PercentText(fractions.runtime()));
}

ordered_json FractionsToJson(const Fractions& fractions) {
  const auto known = [](double fraction) {
    return fraction > 0 ? ordered_json(fraction) : ordered_json(nullptr);
  };
  return {{"kernel", known(fractions.kernel())},
          {"balance", known(fractions.balance())},
          {"schedule", known(fractions.schedule())},
          {"runtime", known(fractions.runtime())}};
}

}  // namespace penstock
