#include "stage_server/checkpoint/state_memory.h"

#include <openssl/crypto.h>

#include <iterator>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/files/memory_file_system.h"
#include "checkpoint/layout/layout.h"
#include "checkpoint/shards/directory_shard_store.h"

namespace penstock {
namespace {

constexpr char kRoot[] = "/state";

// A file, or a folder with all that is in it. What comes into it meanwhile
// stays, until the next time.
void RemoveAll(FileSystem& files, const std::string& path) {
  if (const auto names = files.List(path); names.ok()) {
    for (const std::string& name : *names) {
      RemoveAll(files, absl::StrCat(path, "/", name));
    }
  }
  files.Remove(path).IgnoreError();
}

std::vector<std::string> NamesIn(const FileSystem& files,
                                 const std::string& path) {
  absl::StatusOr<std::vector<std::string>> names = files.List(path);
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

}  // namespace

StateMemory::StateMemory(Sink sink)
    : sink_(std::move(sink)), files_(MakeMemoryFileSystem()) {
  files_->MakeFolder(kRoot).IgnoreError();
}

std::string StateMemory::root() { return kRoot; }

void StateMemory::SetAddress(std::string address) {
  MutexLock lock(&mutex_);
  address_ = std::move(address);
}

std::string StateMemory::address() const {
  MutexLock lock(&mutex_);
  return address_;
}

void StateMemory::Admit(const std::string& job_id, const std::string& token) {
  MutexLock lock(&mutex_);
  tokens_[job_id] = token;
}

absl::Status StateMemory::CheckToken(absl::string_view token,
                                     const std::string& job_id) const {
  MutexLock lock(&mutex_);
  const auto it = tokens_.find(job_id);
  // As long for one that is nearly right as for any other.
  if (it != tokens_.end() && !token.empty() &&
      token.size() == it->second.size() &&
      CRYPTO_memcmp(token.data(), it->second.data(), token.size()) == 0) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "the token is none that the coordinator has told this server for job ",
      job_id));
}

std::unique_ptr<ShardStore> StateMemory::StoreOf(int rank) {
  return MakeDirectoryShardStore(*files_, RankPath(kRoot, rank), kPartFile);
}

void StateMemory::OwnStored(const CheckpointId& checkpoint, int rank,
                            int64_t blocked_nanos) {
  MutexLock lock(&mutex_);
  report_.set_blocked_nanos(blocked_nanos);
  report_.clear_replicate_nanos();
  Stored(checkpoint, rank, kOwnParts);
}

void StateMemory::OwnReplicated(int64_t nanos) {
  MutexLock lock(&mutex_);
  report_.set_replicate_nanos(nanos);
  Tell();
}

void StateMemory::PartStored(const CheckpointId& checkpoint, int rank) {
  MutexLock lock(&mutex_);
  Stored(checkpoint, rank, kPeersParts);
}

void StateMemory::Stored(const CheckpointId& checkpoint, int rank,
                         size_t num_kept) {
  const Owner owner(checkpoint.job_id(), rank);
  const Version version(checkpoint.epoch(), checkpoint.step());
  std::set<Version>& kept = whole_[owner];
  kept.insert(version);
  while (kept.size() > num_kept) kept.erase(kept.begin());
  RemoveOthersThan(owner, kept, version);
  // Two of this epoch: the newest and the one before it.
  if (kept.size() > 1 && std::next(kept.rbegin())->first == version.first) {
    ForgetOlderEpochs(owner.first, version.first);
  }
  Tell();
}

void StateMemory::RemoveOthersThan(const Owner& owner,
                                   const std::set<Version>& kept,
                                   const Version& newest) {
  const std::string folder =
      JobPath(RankPath(kRoot, owner.second), owner.first);
  for (const std::string& name : NamesIn(*files_, folder)) {
    const std::optional<StepAndEpoch> parsed = ParseCheckpointFolder(name);
    if (!parsed.has_value()) continue;
    const Version version(parsed->epoch, parsed->step);
    // What is newer and not whole still comes.
    if (kept.contains(version) || version > newest) continue;
    RemoveAll(*files_, absl::StrCat(folder, "/", name));
  }
}

void StateMemory::ForgetOlderEpochs(const std::string& job_id, int64_t epoch) {
  const Version first(epoch, 0);
  for (auto it = whole_.begin(); it != whole_.end();) {
    if (it->first.first != job_id) {
      ++it;
      continue;
    }
    std::set<Version>& kept = it->second;
    kept.erase(kept.begin(), kept.lower_bound(first));
    RemoveOthersThan(it->first, kept, first);
    it = kept.empty() ? whole_.erase(it) : std::next(it);
  }
}

void StateMemory::KeepOnly(const std::string& job_id) {
  MutexLock lock(&mutex_);
  std::erase_if(tokens_,
                [&](const auto& entry) { return entry.first != job_id; });
  const size_t num_forgotten = std::erase_if(
      whole_, [&](const auto& entry) { return entry.first.first != job_id; });
  // Also of parts that are not whole.
  for (const std::string& rank : NamesIn(*files_, kRoot)) {
    const std::string folder = absl::StrCat(kRoot, "/", rank);
    for (const std::string& job : NamesIn(*files_, folder)) {
      if (job != job_id) RemoveAll(*files_, absl::StrCat(folder, "/", job));
    }
  }
  if (num_forgotten == 0) return;
  report_.clear_blocked_nanos();
  report_.clear_replicate_nanos();
  Tell();
}

MemoryReport StateMemory::Report() const {
  MutexLock lock(&mutex_);
  return report_;
}

void StateMemory::Tell() {
  report_.clear_held();
  for (const auto& [owner, kept] : whole_) {
    MemoryReport::Held* held = nullptr;
    for (auto it = kept.rbegin(); it != kept.rend(); ++it) {
      const auto& [epoch, step] = *it;
      if (held == nullptr || held->epoch() != epoch) {
        held = report_.add_held();
        held->set_job_id(owner.first);
        held->set_epoch(epoch);
        held->set_rank(owner.second);
      }
      held->add_steps(step);
    }
  }
  sink_(report_);
}

}  // namespace penstock
