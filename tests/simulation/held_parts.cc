#include "tests/simulation/held_parts.h"

#include <algorithm>

namespace penstock::simulation {

void HeldParts::Add(const CheckpointId& id, int rank, size_t kept) {
  std::set<Version>& own = parts_[{id.job_id(), rank}];
  own.insert({id.epoch(), id.step()});
  const auto of_epoch = std::count_if(
      own.begin(), own.end(),
      [&id](const Version& version) { return version.first == id.epoch(); });
  if (of_epoch >= 2) {
    for (auto& [owner, versions] : parts_) {
      if (owner.first != id.job_id()) continue;
      std::erase_if(versions, [&id](const Version& version) {
        return version.first < id.epoch();
      });
    }
  }
  while (own.size() > kept) own.erase(own.begin());
}

bool HeldParts::Contains(const CheckpointId& id, int rank) const {
  const auto found = parts_.find({id.job_id(), rank});
  return found != parts_.end() &&
         found->second.contains({id.epoch(), id.step()});
}

void HeldParts::KeepOnly(const std::string& job_id) {
  std::erase_if(parts_, [&job_id](const auto& entry) {
    return entry.first.first != job_id;
  });
}

MemoryReport HeldParts::Report() const {
  MemoryReport report;
  for (const auto& [owner, versions] : parts_) {
    MemoryReport::Held* held = nullptr;
    for (auto version = versions.rbegin(); version != versions.rend();
         ++version) {
      if (held == nullptr || held->epoch() != version->first) {
        held = report.add_held();
        held->set_job_id(owner.first);
        held->set_rank(owner.second);
        held->set_epoch(version->first);
      }
      held->add_steps(version->second);
    }
  }
  report.set_blocked_nanos(1'000'000);
  report.set_replicate_nanos(2'000'000);
  return report;
}

}  // namespace penstock::simulation
