#ifndef PENSTOCK_CLIENT_RENDER_VERSION_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_VERSION_VIEW_H_

#include <string>

#include "nlohmann/json.hpp"
#include "proto/job.pb.h"
#include "proto/plan.pb.h"

namespace penstock {

// Weight versions of a plan (docs/weight_versions.md), rank by rank: its
// stages, how many versions of their weights are kept, by how many updates
// those that are read are late, and the bytes of all versions. Pure.

// "double_buffer, clipped per stage"; the policy alone where nothing is
// clipped, and "" for a flush.
std::string WeightPolicyText(const Job& job);

// "stash, clipped per stage; stages late by 2, 1, 0 updates"; of a flush "".
std::string LatenessText(const Plan& plan);

// A table, with the stages' learning rates where they differ; "" for a flush.
std::string VersionTable(const Plan& plan);

// {rank, stage, versions, staleness, learning_rate_factor, bytes} each; of a
// flush one version, 0 late.
nlohmann::ordered_json VersionsToJson(const Plan& plan);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_VERSION_VIEW_H_
