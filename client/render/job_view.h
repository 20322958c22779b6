#ifndef PENSTOCK_CLIENT_RENDER_JOB_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_JOB_VIEW_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "proto/coordinator_service.pb.h"

namespace penstock {

// Answers of the coordinator for people (text) and programs (JSON). All pure.
// JSON keys are stable: later versions add keys and change none. A number that
// is not known yet is null.

// "SUCCEEDED" of JOB_STATE_SUCCEEDED.
std::string StateName(JobState state);
std::string StateName(ServerState state);
// What it does, and what operators want of it: "IDLE,CORDONED".
std::string StateText(const ServerInfo& server);

// SUCCEEDED, CANCELLED or FAILED.
bool IsTerminal(JobState state);

// id, name, state, reason, step, steps, loss, gradient_norm, learning_rate,
// tokens_per_second, bubble_fraction, step_seconds, fractions (null, or kernel,
// balance, schedule and runtime), weights_digest, epoch, submitted, started,
// ended, ranks (with the memory that they use), job, and plan and edges (with
// what was sent over them) where `info` holds a plan. Rates are means over the
// run where there are any, else the newest step's.
nlohmann::ordered_json JobInfoToJson(const JobInfo& info);
nlohmann::ordered_json PlanToJson(const Plan& plan);
nlohmann::ordered_json ServerToJson(const ServerInfo& server);
nlohmann::ordered_json EventToJson(const Event& event);
nlohmann::ordered_json LogLineToJson(const LogLine& line);

// `wide` adds columns.
std::string JobTable(const std::vector<JobInfo>& jobs, absl::Time now,
                     bool wide);
std::string ServerTable(const std::vector<ServerInfo>& servers, absl::Time now,
                        bool wide);

// Everything about one job, for reading.
std::string DescribeJob(const JobInfo& info, absl::TimeZone zone);
// The few lines that end a followed job.
std::string JobSummary(const JobInfo& info);
// Stages of a plan as a table, and its weight versions if it does not flush,
// with the schedule's name and hash.
std::string DescribePlan(const Plan& plan);

// "running: all ranks are ready": an event of a job that is being followed.
std::string EventNote(const Event& event);
// "2025-03-01 12:30:05  JOB_RUNNING  job j-1: ..."
std::string EventLine(const Event& event, absl::TimeZone zone);
// "12:30:05 rank 1 [2] info: text"
std::string LogLineText(const LogLine& line, absl::TimeZone zone);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_JOB_VIEW_H_
