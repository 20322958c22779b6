#ifndef PENSTOCK_CLIENT_RENDER_USE_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_USE_VIEW_H_

#include <string>

#include "nlohmann/json.hpp"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// What a job's ranks use of memory and network, for people and programs. Pure.

// A row for what each rank is expected to hold, and one for what it was
// measured to hold; "" where nothing is known.
std::string MemoryTable(const JobInfo& info);
// "1.25 MiB on rank 0 (expected 1.24 MiB)" for the rank that holds most; ""
// before anything is measured.
std::string PeakMemoryText(const JobInfo& info);
// {weights, gradients, optimizer, activations, weight_queue, peak}, bytes.
nlohmann::ordered_json MemoryToJson(const MemoryUse& use);

// What was sent over each edge in each direction, over all ranks; "" before
// anything was. Needs `info.plan` for the edges' names.
std::string EdgeTable(const JobInfo& info);
// Rows of {edge, direction, from_stage, to_stage, messages, bytes,
// tensor_bytes}.
nlohmann::ordered_json EdgesToJson(const JobInfo& info);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_USE_VIEW_H_
