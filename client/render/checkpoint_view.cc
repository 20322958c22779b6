#include "client/render/checkpoint_view.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "checkpoint/exchange/manifest_diff.h"
#include "client/render/quantity.h"
#include "client/render/table.h"

namespace penstock {
namespace {

using nlohmann::ordered_json;

constexpr double kSecondsPerNano = 1e-9;
// Of differing tensors.
constexpr size_t kShownDifferences = 20;

ordered_json TextOrNull(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

std::string KindText(ShardFile::Kind kind) {
  switch (kind) {
    case ShardFile::WEIGHTS:
      return "weights";
    case ShardFile::OPTIMIZER:
      return "optimizer";
    case ShardFile::OLDER_VERSIONS:
      return "older versions";
    default:
      return "";
  }
}

std::string Crc(uint32_t crc32c) { return absl::StrFormat("%08x", crc32c); }

ordered_json FileToJson(const ShardFile& file) {
  ordered_json tensors = ordered_json::array();
  for (const ShardTensor& tensor : file.tensors()) {
    tensors.push_back({{"name", tensor.name()},
                       {"type", tensor.type()},
                       {"shape", std::vector<int64_t>(tensor.shape().begin(),
                                                      tensor.shape().end())},
                       {"bytes", tensor.size_bytes()},
                       {"crc32c", Crc(tensor.crc32c())}});
  }
  return {{"name", file.name()},           {"layer", file.layer_name()},
          {"kind", KindText(file.kind())}, {"bytes", file.size_bytes()},
          {"crc32c", Crc(file.crc32c())},  {"tensors", std::move(tensors)}};
}

std::string PinText(const CheckpointInfo& info) {
  return info.pinned() ? "pinned" : "";
}

std::string LossOf(const CheckpointInfo& info) {
  return info.has_evaluation_loss() ? LossText(info.evaluation_loss()) : "";
}

std::string MadeBy(const CheckpointInfo& info) {
  // Not by a run.
  if (info.stages() == 0) return info.schedule();
  return absl::StrCat(
      info.schedule(), ", ", info.stages(),
      info.stages() == 1 ? " stage" : " stages", " on ", info.ranks(),
      info.ranks() == 1 ? " rank" : " ranks",
      info.weights_policy().empty() || info.weights_policy() == "flush"
          ? ""
          : absl::StrCat(", ", info.weights_policy()));
}

// "name  value" lines; those without a value are left out.
std::string Lines(
    const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string text;
  for (const auto& [name, value] : rows) {
    if (!value.empty())
      absl::StrAppendFormat(&text, "  %-14s%s\n", name, value);
  }
  return text;
}

void AddDifference(const std::string& what, const std::string& a,
                   const std::string& b, std::vector<std::string>& lines) {
  if (a == b) return;
  lines.push_back(absl::StrCat(what, ": ", a.empty() ? "-" : a, " | ",
                               b.empty() ? "-" : b));
}

}  // namespace

std::string StateName(CheckpointState state) {
  return std::string(
      absl::StripPrefix(CheckpointState_Name(state), "CHECKPOINT_STATE_"));
}

std::string CheckpointName(const CheckpointInfo& info) {
  return absl::StrCat(info.id().job_id(), "@", info.id().step());
}

ordered_json CheckpointToJson(const CheckpointInfo& info) {
  return {
      {"job_id", info.id().job_id()},
      {"job", info.job_name()},
      {"step", info.id().step()},
      {"epoch", info.id().epoch()},
      {"state", StateName(info.state())},
      {"reason", info.reason()},
      {"pinned", info.pinned()},
      {"bytes", info.size_bytes()},
      {"created", TextOrNull(StableTimeText(info.created_unix_nanos()))},
      {"committed", TextOrNull(StableTimeText(info.committed_unix_nanos()))},
      {"evaluation_loss",
       info.has_evaluation_loss() && std::isfinite(info.evaluation_loss())
           ? ordered_json(info.evaluation_loss())
           : ordered_json(nullptr)},
      {"schedule", info.schedule()},
      {"weights_policy", info.weights_policy()},
      {"stages", info.stages()},
      {"ranks", info.ranks()},
  };
}

ordered_json CheckpointToJson(const GetCheckpointResponse& answer) {
  ordered_json json = CheckpointToJson(answer.info());
  if (!answer.has_manifest()) return json;
  const CheckpointManifest& manifest = answer.manifest();
  ordered_json files = ordered_json::array();
  for (const ShardFile& file : manifest.files()) {
    files.push_back(FileToJson(file));
  }
  json["manifest"] = {
      {"format_version", manifest.format_version()},
      {"plan_hash", manifest.plan_hash()},
      {"weights_digest", TextOrNull(manifest.weights_digest())},
      {"dataset_fingerprint",
       TextOrNull(manifest.state().dataset_fingerprint())},
      {"numerics_id", TextOrNull(manifest.state().numerics_id())},
      {"files", std::move(files)}};
  return json;
}

std::string CheckpointTable(const std::vector<CheckpointInfo>& infos,
                            absl::Time now, bool wide) {
  std::vector<std::string> heading = {"CHECKPOINT", "JOB",  "STATE",
                                      "SIZE",       "LOSS", "AGE"};
  if (wide) heading.insert(heading.end(), {"EPOCH", "MADE BY"});
  heading.push_back("NOTE");
  std::vector<std::vector<std::string>> rows;
  for (const CheckpointInfo& info : infos) {
    std::vector<std::string> row = {CheckpointName(info),
                                    info.job_name(),
                                    StateName(info.state()),
                                    BytesText(info.size_bytes()),
                                    LossOf(info),
                                    AgeText(info.created_unix_nanos(), now)};
    if (wide) {
      row.insert(row.end(), {absl::StrCat(info.id().epoch()), MadeBy(info)});
    }
    const std::string note = info.pinned() ? PinText(info) : info.reason();
    row.push_back(note);
    rows.push_back(std::move(row));
  }
  return RenderTable(heading, rows);
}

std::string DescribeCheckpoint(const GetCheckpointResponse& answer,
                               absl::TimeZone zone) {
  const CheckpointInfo& info = answer.info();
  const CheckpointManifest& manifest = answer.manifest();
  std::string text = absl::StrCat(
      CheckpointName(info), " (", info.job_name(), ", epoch ",
      info.id().epoch(), "): ", StateName(info.state()), "\n",
      Lines({{"reason", info.reason()},
             {"pinned", info.pinned() ? "yes" : ""},
             {"size", BytesText(info.size_bytes())},
             {"held out", LossOf(info)},
             {"made by", MadeBy(info)},
             {"begun", TimeText(info.created_unix_nanos(), zone)},
             {"complete", TimeText(info.committed_unix_nanos(), zone)},
             {"data", manifest.state().dataset_fingerprint()},
             {"numerics", manifest.state().numerics_id()},
             {"weights", manifest.weights_digest()}}));
  if (manifest.files().empty()) return text;
  std::vector<std::vector<std::string>> rows;
  for (const ShardFile& file : manifest.files()) {
    rows.push_back({file.name(), KindText(file.kind()),
                    absl::StrCat(file.tensors_size()),
                    BytesText(file.size_bytes()), Crc(file.crc32c())});
  }
  absl::StrAppend(
      &text, "\n",
      RenderTable({"FILE", "KIND", "TENSORS", "SIZE", "CRC32C"}, rows));
  return text;
}

std::string DiffCheckpoints(const GetCheckpointResponse& a,
                            const GetCheckpointResponse& b) {
  std::vector<std::string> lines;
  AddDifference("step", absl::StrCat(a.info().id().step()),
                absl::StrCat(b.info().id().step()), lines);
  AddDifference("made by", MadeBy(a.info()), MadeBy(b.info()), lines);
  const TrainState& state_a = a.manifest().state();
  const TrainState& state_b = b.manifest().state();
  AddDifference("data", state_a.dataset_fingerprint(),
                state_b.dataset_fingerprint(), lines);
  AddDifference("numerics", state_a.numerics_id(), state_b.numerics_id(),
                lines);
  const std::vector<TensorDifference> tensors =
      DiffManifests(a.manifest(), b.manifest());
  std::vector<std::string> differing;
  for (const TensorDifference& one : tensors) {
    if (one.change == TensorChange::kSame) continue;
    const std::string shapes =
        one.change == TensorChange::kReshaped
            ? absl::StrCat(", ", one.first, " | ", one.second)
            : "";
    differing.push_back(
        absl::StrCat("  ", one.name, ": ", ToString(one.change), shapes));
  }
  if (differing.empty()) {
    lines.push_back("the same weights and optimizer state");
  } else {
    lines.push_back(absl::StrCat(differing.size(), " of ", tensors.size(),
                                 " tensors differ:"));
  }
  const size_t shown = std::min(differing.size(), kShownDifferences);
  lines.insert(lines.end(), differing.begin(), differing.begin() + shown);
  if (differing.size() > shown) {
    lines.push_back(absl::StrCat("  and ", differing.size() - shown, " more"));
  }
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
}

std::string CheckpointProgressText(const JobInfo& info) {
  if (!info.has_checkpoints()) return "";
  const CheckpointProgress& progress = info.checkpoints();
  std::vector<std::string> parts;
  if (progress.newest_step() == 0) {
    parts.push_back("none yet");
  } else {
    parts.push_back(absl::StrCat("newest of step ", progress.newest_step()));
    parts.push_back(absl::StrCat(
        "training stood still for ",
        SecondsText(kSecondsPerNano *
                    static_cast<double>(progress.blocked_nanos()))));
    parts.push_back(absl::StrCat(
        "complete after ",
        SecondsText(kSecondsPerNano *
                    static_cast<double>(progress.commit_nanos()))));
  }
  if (progress.next_step() > 0) {
    parts.push_back(absl::StrCat("next after step ", progress.next_step()));
  }
  if (progress.skipped_intervals() > 0) {
    parts.push_back(absl::StrCat(progress.skipped_intervals(),
                                 " passed over: the store is slower than "
                                 "checkpoint.every_steps"));
  }
  if (progress.abandoned() > 0) {
    parts.push_back(absl::StrCat(progress.abandoned(), " abandoned"));
  }
  return absl::StrJoin(parts, ", ");
}

std::string StartText(const JobInfo& info) {
  if (!info.has_started_from()) return "";
  const CheckpointId& id = info.started_from().checkpoint();
  return absl::StrCat(
      info.started_from().weights_only() ? "the weights of " : "", "step ",
      id.step(), " of job ", id.job_id(),
      info.started_from().in_memory() ? ", in stage servers' memory" : "");
}

std::string MemoryProgressText(const JobInfo& info) {
  if (!info.has_memory()) return "";
  const MemoryProgress& memory = info.memory();
  const std::string every =
      memory.every_steps() == 1
          ? "each step"
          : absl::StrCat("every ", memory.every_steps(), " steps");
  if (memory.newest_step() == 0) return absl::StrCat("none yet, ", every);
  return absl::StrCat(
      "step ", memory.newest_step(), ", ", memory.copies(),
      memory.copies() == 1 ? " copy" : " copies", " of each part, ", every,
      ", training stood still for ",
      SecondsText(kSecondsPerNano *
                  static_cast<double>(memory.blocked_nanos())),
      ", with the peer after ",
      SecondsText(kSecondsPerNano *
                  static_cast<double>(memory.replicate_nanos())));
}

ordered_json MemoryProgressToJson(const JobInfo& info) {
  if (!info.has_memory()) return nullptr;
  const MemoryProgress& memory = info.memory();
  return {{"newest_step", memory.newest_step()},
          {"copies", memory.copies()},
          {"every_steps", memory.every_steps()},
          {"blocked_seconds",
           kSecondsPerNano * static_cast<double>(memory.blocked_nanos())},
          {"replicate_seconds",
           kSecondsPerNano * static_cast<double>(memory.replicate_nanos())}};
}

ordered_json CheckpointProgressToJson(const JobInfo& info) {
  if (!info.has_checkpoints()) return nullptr;
  const CheckpointProgress& progress = info.checkpoints();
  return {{"newest_step", progress.newest_step()},
          {"next_step", progress.next_step()},
          {"committed", progress.committed()},
          {"abandoned", progress.abandoned()},
          {"skipped_intervals", progress.skipped_intervals()},
          {"blocked_seconds",
           kSecondsPerNano * static_cast<double>(progress.blocked_nanos())},
          {"commit_seconds",
           kSecondsPerNano * static_cast<double>(progress.commit_nanos())}};
}

ordered_json StartToJson(const JobInfo& info) {
  if (!info.has_started_from()) return nullptr;
  const CheckpointId& id = info.started_from().checkpoint();
  return {{"job_id", id.job_id()},
          {"step", id.step()},
          {"epoch", id.epoch()},
          {"weights_only", info.started_from().weights_only()},
          {"in_memory", info.started_from().in_memory()}};
}

}  // namespace penstock
