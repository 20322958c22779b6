#include "coordinator/core/effects.h"

namespace penstock {

WriteBatch MakeBatch(const ClusterState& state, const Effects& effects) {
  WriteBatch batch = effects.batch;
  for (const std::string& id : effects.changed_jobs) {
    batch.jobs.push_back(RowOf(state.jobs.at(id)));
  }
  for (const std::string& id : effects.changed_servers) {
    batch.servers.push_back(RowOf(state.servers.at(id)));
  }
  return batch;
}

}  // namespace penstock
