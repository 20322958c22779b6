#ifndef PENSTOCK_CLIENT_JOB_FILE_JOB_JSON_H_
#define PENSTOCK_CLIENT_JOB_FILE_JOB_JSON_H_

#include "nlohmann/json.hpp"
#include "proto/job.pb.h"

namespace penstock {

// `job` with the job file's keys in the table's order, so that as YAML it is a
// job file again: parsing it gives an equal job. Keys without a value (no
// tokens, no explicit layers) are left out. Pure.
nlohmann::ordered_json JobToJson(const Job& job);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_JOB_FILE_JOB_JSON_H_
