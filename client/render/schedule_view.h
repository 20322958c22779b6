#ifndef PENSTOCK_CLIENT_RENDER_SCHEDULE_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_SCHEDULE_VIEW_H_

#include <string>
#include <vector>

#include "client/schedules/comparison.h"
#include "nlohmann/json.hpp"
#include "schedule/generators/generator.h"
#include "schedule/ir/schedule.h"
#include "schedule/verifier/violation.h"

namespace penstock {

// How schedules and their simulated runs are shown. All pure.

// Every generator: a line each; `wide` adds parameters and source.
std::string GeneratorTable(const std::vector<GeneratorInfo>& generators,
                           bool wide);
nlohmann::ordered_json GeneratorsToJson(
    const std::vector<GeneratorInfo>& generators);

// What a schedule consists of; lists as action texts.
nlohmann::ordered_json ScheduleToJson(const Schedule& schedule);

// {rule, rank, position, message}; rank and position null where it has none.
nlohmann::ordered_json ViolationToJson(const Violation& violation);

// A row a schedule, with a bar of the busy part of the time; below, what there
// is to say about them. Of a single one also where each rank's time went.
std::string ComparisonText(const std::vector<ComparedSchedule>& schedules,
                           const std::string& time_unit);

// Of each schedule, how much of its makespan the actions of a rank on the
// critical path take, and messages on their way.
std::string CriticalPathText(const std::vector<ComparedSchedule>& schedules);

// An array of an object a schedule: `schedule`, `makespan`, `sync_bubble`,
// `span_bubble`, `peak_in_flight` (per rank), `warnings` and more; of one that
// could not be made `schedule` and `error`. With `critical_path` its steps too.
nlohmann::ordered_json ComparisonToJson(
    const std::vector<ComparedSchedule>& schedules, bool critical_path);

// A header line, then a line a schedule; what could not be made has its reason
// in the last column.
std::string ComparisonCsv(const std::vector<ComparedSchedule>& schedules);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_SCHEDULE_VIEW_H_
