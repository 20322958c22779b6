#include "checkpoint/layout/layout.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

constexpr size_t kMaxJobIdChars = 128;
constexpr size_t kMaxLayerNameChars = 80;
// What a message quotes of a name that may be anything.
constexpr size_t kMaxQuotedChars = 100;

struct KindSuffix {
  ShardFile::Kind kind;
  absl::string_view suffix;
};
constexpr KindSuffix kSuffixes[] = {
    {ShardFile::WEIGHTS, ".w.safetensors"},
    {ShardFile::OPTIMIZER, ".opt.safetensors"},
    {ShardFile::OLDER_VERSIONS, ".old.safetensors"},
};

bool IsNameChar(char c) {
  return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
}

bool AreDigits(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

std::string Quote(absl::string_view text) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kMaxQuotedChars)),
                      text.size() > kMaxQuotedChars ? "..." : "", "\"");
}

}  // namespace

absl::Status CheckJobId(absl::string_view job_id) {
  if (!job_id.empty() && job_id.size() <= kMaxJobIdChars &&
      job_id.front() != '.' &&
      std::all_of(job_id.begin(), job_id.end(), IsNameChar)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(Quote(job_id), " is no job id: wanted 1 to ", kMaxJobIdChars,
                   " letters, digits, '-', '_' and '.', and no '.' first"));
}

absl::Status CheckCheckpointId(const CheckpointId& id) {
  PENSTOCK_RETURN_IF_ERROR(CheckJobId(id.job_id()));
  if (id.step() >= 0 && id.epoch() >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("no checkpoint has step ", id.step(), " and epoch ",
                   id.epoch(), "; neither is below 0"));
}

std::string CheckpointFolder(int64_t step, int64_t epoch) {
  return absl::StrFormat("step-%09d.e%04d", step, epoch);
}

std::optional<StepAndEpoch> ParseCheckpointFolder(absl::string_view name) {
  absl::string_view rest = name;
  if (!absl::ConsumePrefix(&rest, "step-")) return std::nullopt;
  const size_t middle = rest.find(".e");
  if (middle == absl::string_view::npos) return std::nullopt;
  const absl::string_view step = rest.substr(0, middle);
  const absl::string_view epoch = rest.substr(middle + 2);
  StepAndEpoch parsed;
  if (!AreDigits(step) || !AreDigits(epoch) ||
      !absl::SimpleAtoi(step, &parsed.step) ||
      !absl::SimpleAtoi(epoch, &parsed.epoch) ||
      CheckpointFolder(parsed.step, parsed.epoch) != name) {
    return std::nullopt;
  }
  return parsed;
}

std::string ShardFileName(int layer, absl::string_view layer_name,
                          ShardFile::Kind kind) {
  std::string name(layer_name.substr(0, kMaxLayerNameChars));
  for (char& c : name) {
    if (!IsNameChar(c)) c = '_';
  }
  absl::string_view suffix;
  for (const KindSuffix& row : kSuffixes) {
    if (row.kind == kind) suffix = row.suffix;
  }
  return absl::StrFormat("l%04d-%s%s", layer, name, suffix);
}

absl::StatusOr<ShardName> ParseShardFileName(absl::string_view name) {
  for (const auto& [kind, suffix] : kSuffixes) {
    absl::string_view rest = name;
    if (!absl::ConsumeSuffix(&rest, suffix)) continue;
    if (!absl::ConsumePrefix(&rest, "l")) break;
    const size_t dash = rest.find('-');
    if (dash == absl::string_view::npos) break;
    const absl::string_view digits = rest.substr(0, dash);
    int layer = 0;
    if (!AreDigits(digits) || !absl::SimpleAtoi(digits, &layer) ||
        ShardFileName(layer, rest.substr(dash + 1), kind) != name) {
      break;
    }
    return ShardName{layer, kind};
  }
  return absl::InvalidArgumentError(
      absl::StrCat(Quote(name),
                   " is no name of a shard: wanted l<layer>-<its name>, then "
                   ".w.safetensors, .opt.safetensors or .old.safetensors, for "
                   "example \"l0000-embed.w.safetensors\""));
}

absl::Status CheckStoredName(absl::string_view name) {
  if (name == kPartFile) return absl::OkStatus();
  return ParseShardFileName(name).status();
}

std::string RankPath(const std::string& root, int rank) {
  return absl::StrFormat("%s/rank-%04d", root, rank);
}

std::string JobPath(const std::string& root, absl::string_view job_id) {
  return absl::StrCat(root, "/", job_id);
}

std::string CheckpointPath(const std::string& root, const CheckpointId& id) {
  return absl::StrCat(JobPath(root, id.job_id()), "/",
                      CheckpointFolder(id.step(), id.epoch()));
}

std::string Describe(const CheckpointId& id) {
  return absl::StrCat("step ", id.step(), ", epoch ", id.epoch(), ", of job ",
                      id.job_id());
}

}  // namespace penstock
