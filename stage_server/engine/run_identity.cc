#include "stage_server/engine/run_identity.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;
constexpr int64_t kNumPieces = 256;

std::string FingerprintOf(absl::Span<const std::byte> bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  Sha256 hash;
  if (size <= kNumPieces * kPieceBytes) {
    hash.Update(bytes.data(), bytes.size());
  } else {
    const std::string length = absl::StrCat(size, " bytes");
    hash.Update(length.data(), length.size());
    for (int64_t i = 0; i < kNumPieces; ++i) {
      const int64_t begin = (size - kPieceBytes) * i / (kNumPieces - 1);
      hash.Update(bytes.data() + begin, kPieceBytes);
    }
  }
  return absl::BytesToHexString(hash.Finish());
}

// The parts of `now` that `then` does not have, and the other way round.
std::string ChangeOf(const std::string& now, const std::string& then) {
  const std::vector<std::string> has = absl::StrSplit(now, ", ");
  const std::vector<std::string> had = absl::StrSplit(then, ", ");
  const auto missing = [](const std::vector<std::string>& from,
                          const std::vector<std::string>& in) {
    std::vector<std::string> parts;
    for (const std::string& part : from) {
      if (std::find(in.begin(), in.end(), part) == in.end()) {
        parts.push_back(part);
      }
    }
    return absl::StrJoin(parts, ", ");
  };
  return absl::StrCat("now ", missing(has, had), "; then ", missing(had, has));
}

}  // namespace

std::string TorchVersion() { return TORCH_VERSION; }

std::string NumericsId(const Job& job) {
  const bool one_dnn =
      at::hasMKLDNN() && at::globalContext().userEnabledMkldnn();
  return absl::StrCat(
      "libtorch ", TORCH_VERSION, ", cpu ", at::get_cpu_capability(),
      ", oneDNN ", one_dnn ? "on" : "off", ", threads ",
      job.threads() == 0 ? "auto" : absl::StrCat(job.threads()));
}

absl::StatusOr<std::string> DatasetFingerprint(const Job& job,
                                               const std::string& data_kind) {
  if (job.data().tokens().empty()) {
    return Sha256HexOf(absl::StrCat(data_kind, " of seed ", job.seed()));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const MappedFile file,
                            MappedFile::Open(job.data().tokens()));
  return FingerprintOf(file.bytes());
}

absl::Status CheckSameRun(const RunIdentity& now, const TrainState& then,
                          const StartSpec& start) {
  const std::string& data = then.dataset_fingerprint();
  if (!now.dataset_fingerprint.empty() && !data.empty() &&
      now.dataset_fingerprint != data && !start.allow_other_data()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the checkpoint was trained on other data: its fingerprint is ", data,
        ", that of the job's data is now ", now.dataset_fingerprint,
        "; give the job the same data, or set start.allow_other_data"));
  }
  if (!now.numerics_id.empty() && !then.numerics_id().empty() &&
      now.numerics_id != then.numerics_id() && !start.allow_other_numerics()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the checkpoint was computed by other arithmetic (",
        ChangeOf(now.numerics_id, then.numerics_id()),
        "), so the bits would not be those of a run without interruption; make "
        "it the same, or set start.allow_other_numerics"));
  }
  return absl::OkStatus();
}

}  // namespace penstock
