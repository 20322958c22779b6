#include "models/layers/init.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "models/layers/stateless_fill.h"

namespace penstock {

absl::Status InitialValue(const ParameterSpec& parameter, uint64_t seed,
                          const at::Tensor& out) {
  if (!out.defined() || out.scalar_type() != at::kFloat ||
      !out.is_contiguous() || out.sizes() != at::IntArrayRef(parameter.shape)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "initial value of \"", parameter.name, "\": want contiguous float32 [",
        absl::StrJoin(parameter.shape, ", "), "], got ",
        out.defined() ? absl::StrCat(at::toString(out.scalar_type()), " [",
                                     absl::StrJoin(out.sizes(), ", "), "]")
                      : "nothing"));
  }
  const std::string& name =
      parameter.tied_to.empty() ? parameter.name : parameter.tied_to;
  const uint64_t key = RandomKey(seed, {NameKey(name)});
  const absl::Span<float> values(out.data_ptr<float>(),
                                 static_cast<size_t>(out.numel()));
  switch (parameter.init) {
    case InitKind::kZeros:
      std::fill(values.begin(), values.end(), 0.0f);
      break;
    case InitKind::kOnes:
      std::fill(values.begin(), values.end(), 1.0f);
      break;
    case InitKind::kNormal:
      FillNormal(key, parameter.init_scale, values);
      break;
    case InitKind::kUniform:
      FillUniform(key, parameter.init_scale, values);
      break;
  }
  return absl::OkStatus();
}

}  // namespace penstock
