#ifndef PENSTOCK_SCHEDULE_GENERATORS_GENERATOR_H_
#define PENSTOCK_SCHEDULE_GENERATORS_GENERATOR_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "schedule/ir/schedule.h"

namespace penstock {

struct GeneratorRequest {
  int num_ranks = 0;
  int num_stages = 0;
  int num_microbatches = 0;
  // Of the generator; those left out have their defaults.
  std::map<std::string, std::string> parameters;
};

// A choice that a generator offers.
struct ParameterInfo {
  std::string name;
  // One line, for people.
  std::string description;
  // Every value that it may have.
  std::vector<std::string> values;
  std::string default_value;
};

// A published schedule: what it is, and the function that makes it.
struct GeneratorInfo {
  std::string name;
  // Where it comes from: authors, title, year, section.
  std::string source;
  // What it gives for what, in one line.
  std::string trade;
  // When weights change (design: weight versions): "flush".
  std::string update_policy;
  std::vector<ParameterInfo> parameters;
  // The compute actions (F and backwards) of each rank, in order; no edges, no
  // communication, no update. Gets a request that `Generate` has checked and
  // completed with the parameters' defaults. Pure.
  absl::StatusOr<Schedule> (*generate)(const GeneratorRequest&) = nullptr;
};

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_GENERATOR_H_
