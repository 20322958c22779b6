#include "client/render/schedule_view.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/render/progress_line.h"
#include "client/render/quantity.h"
#include "client/render/table.h"
#include "schedule/generators/request.h"
#include "schedule/ir/text_format.h"
#include "schedule/simulator/critical_path.h"

namespace penstock {
namespace {

constexpr int kBarWidth = 32;

std::string Number(double value) { return absl::StrFormat("%.6g", value); }

// Those that can be given, the choice of chunks among them.
std::vector<ParameterInfo> ParametersOf(const GeneratorInfo& generator) {
  std::vector<ParameterInfo> parameters = generator.parameters;
  if (generator.chunks && generator.chunks->min < generator.chunks->max) {
    parameters.push_back(ChunksParameter(*generator.chunks));
  }
  return parameters;
}

// "fifo|lifo", "1..64", "1..64 for each rank".
std::string ValuesText(const ParameterInfo& parameter) {
  std::vector<std::string> parts = parameter.values;
  if (parameter.range) {
    const char* each = parameter.list == ListFor::kRanks    ? " for each rank"
                       : parameter.list == ListFor::kStages ? " for each stage"
                                                            : "";
    parts.push_back(
        absl::StrCat(parameter.range->min, "..", parameter.range->max, each));
  }
  return absl::StrJoin(parts, "|");
}

std::string ParametersText(const GeneratorInfo& generator) {
  std::vector<std::string> texts;
  for (const ParameterInfo& parameter : ParametersOf(generator)) {
    texts.push_back(absl::StrCat(parameter.name, "=", ValuesText(parameter)));
  }
  return absl::StrJoin(texts, ", ");
}

// "1", "2", "1 to 64", "any".
std::string ChunksText(const GeneratorInfo& generator) {
  if (!generator.chunks) return "any";
  if (generator.chunks->min == generator.chunks->max) {
    return absl::StrCat(generator.chunks->min);
  }
  return absl::StrCat(generator.chunks->min, " or more");
}

nlohmann::ordered_json ListsToJson(const Schedule& schedule,
                                   const RankLists& lists) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const std::vector<Action>& actions : lists) {
    nlohmann::ordered_json texts = nlohmann::ordered_json::array();
    for (const Action& action : actions) {
      texts.push_back(ToString(action, schedule.edges));
    }
    json.push_back(std::move(texts));
  }
  return json;
}

// Most and least of the ranks: "8", "8 to 1".
std::string InFlightText(const TimelineSummary& summary) {
  double most = 0, least = 0;
  for (const RankSummary& rank : summary.ranks) {
    most = std::max(most, rank.peak_in_flight);
    least =
        least == 0 ? rank.peak_in_flight : std::min(least, rank.peak_in_flight);
  }
  if (most == least) return Number(most);
  return absl::StrCat(Number(most), " (min ", Number(least), ")");
}

double MostInFlight(const TimelineSummary& summary) {
  double most = 0;
  for (const RankSummary& rank : summary.ranks) {
    most = std::max(most, rank.peak_in_flight);
  }
  return most;
}

// Where each rank's time went, in parts of the makespan.
std::string RankTable(const TimelineSummary& summary) {
  std::vector<std::vector<std::string>> rows;
  const double total = summary.makespan > 0 ? summary.makespan : 1;
  for (size_t rank = 0; rank < summary.ranks.size(); ++rank) {
    const RankSummary& of = summary.ranks[rank];
    rows.push_back({absl::StrCat("r", rank),
                    absl::StrCat(Bar(of.busy / total, kBarWidth), " ",
                                 PercentText(of.busy / total)),
                    PercentText(of.idle.warm_up / total),
                    PercentText(of.idle.dependency / total),
                    PercentText(of.idle.communication / total),
                    PercentText(of.idle.imbalance / total),
                    PercentText(of.idle.overhead / total),
                    Number(of.peak_in_flight)});
  }
  return RenderTable({"RANK", "BUSY", "FILL+DRAIN", "WAIT", "NETWORK",
                      "IMBALANCE", "OVERHEAD", "IN FLIGHT"},
                     rows);
}

std::vector<std::string> RemarksOn(const ComparedSchedule& compared) {
  std::vector<std::string> remarks = compared.notes;
  if (compared.run) {
    remarks.insert(remarks.end(), compared.run->report.warnings.begin(),
                   compared.run->report.warnings.end());
  } else {
    remarks.push_back(std::string(compared.status.message()));
  }
  return remarks;
}

nlohmann::ordered_json IdleToJson(const IdleSplit& idle) {
  return {{"warm_up", idle.warm_up},
          {"dependency", idle.dependency},
          {"communication", idle.communication},
          {"imbalance", idle.imbalance},
          {"overhead", idle.overhead}};
}

nlohmann::ordered_json CriticalPathToJson(const ContinuousReport& run) {
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (const CriticalStep& step : CriticalPath(run.report.timeline)) {
    const int rank = step.rank.value();
    const TimelineEvent& event = run.report.timeline.ranks[rank][step.position];
    steps.push_back({{"rank", rank},
                     {"action", ToString(run.run.ranks[rank][step.position],
                                         run.run.edges)},
                     {"start", event.start},
                     {"end", event.end}});
  }
  return steps;
}

// What of a makespan is on the critical path.
struct CriticalShares {
  // Index is the rank.
  std::vector<double> time;
  std::vector<std::map<std::string, int>> ops;
  double messages = 0;
};

CriticalShares SharesOf(const ContinuousReport& run) {
  const Timeline& timeline = run.report.timeline;
  CriticalShares shares;
  shares.time.resize(timeline.ranks.size());
  shares.ops.resize(timeline.ranks.size());
  double end = 0;
  for (const CriticalStep& step : CriticalPath(timeline)) {
    const int rank = step.rank.value();
    const TimelineEvent& event = timeline.ranks[rank][step.position];
    const Action& action = run.run.ranks[rank][step.position];
    if (IsReceive(action.op)) {
      shares.messages += event.end - end;
    } else {
      shares.messages += std::max(0.0, event.start - end);
      shares.time[rank] += event.end - std::max(event.start, end);
      ++shares.ops[rank][std::string(ToString(action.op))];
    }
    end = event.end;
  }
  return shares;
}

nlohmann::ordered_json ToJson(const ComparedSchedule& compared) {
  nlohmann::ordered_json json = {{"schedule", compared.name}};
  if (!compared.run) {
    json["error"] = std::string(compared.status.message());
    return json;
  }
  const SimulationReport& report = compared.run->report;
  json["ranks"] = report.summary.ranks.size();
  json["stages"] = compared.num_stages;
  json["microbatches"] = compared.num_microbatches;
  json["makespan"] = report.summary.makespan;
  json["sync_bubble"] = report.summary.sync_bubble;
  json["span_bubble"] = report.summary.span_bubble;
  json["lower_bound"] = report.lower_bound;
  if (compared.is_continuous) {
    json["period_time"] = compared.run->period_time;
    json["period_bubble"] = compared.run->period_bubble;
  }
  nlohmann::ordered_json peaks = nlohmann::ordered_json::array();
  nlohmann::ordered_json busy = peaks, idle = peaks;
  for (const RankSummary& rank : report.summary.ranks) {
    peaks.push_back(rank.peak_in_flight);
    busy.push_back(rank.busy);
    idle.push_back(IdleToJson(rank.idle));
  }
  json["peak_in_flight"] = std::move(peaks);
  json["peak_bytes"] = report.peak_bytes;
  json["busy"] = std::move(busy);
  json["idle"] = std::move(idle);
  json["warnings"] = RemarksOn(compared);
  return json;
}

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

}  // namespace

std::string GeneratorTable(const std::vector<GeneratorInfo>& generators,
                           bool wide) {
  std::vector<std::string> heading = {"NAME", "UPDATES", "STAGES/RANK",
                                      "TRADE"};
  if (wide) heading.insert(heading.end(), {"PARAMETERS", "SOURCE"});
  std::vector<std::vector<std::string>> rows;
  for (const GeneratorInfo& generator : generators) {
    rows.push_back({generator.name, generator.update_policy,
                    ChunksText(generator), generator.trade});
    if (!wide) continue;
    rows.back().push_back(ParametersText(generator));
    rows.back().push_back(generator.source);
  }
  return RenderTable(heading, rows);
}

nlohmann::ordered_json GeneratorsToJson(
    const std::vector<GeneratorInfo>& generators) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const GeneratorInfo& generator : generators) {
    nlohmann::ordered_json parameters = nlohmann::ordered_json::array();
    for (const ParameterInfo& parameter : ParametersOf(generator)) {
      parameters.push_back({{"name", parameter.name},
                            {"values", ValuesText(parameter)},
                            {"default", parameter.default_value},
                            {"description", parameter.description}});
    }
    json.push_back({{"name", generator.name},
                    {"update_policy", generator.update_policy},
                    {"stages_per_rank", ChunksText(generator)},
                    {"trade", generator.trade},
                    {"source", generator.source},
                    {"parameters", std::move(parameters)}});
  }
  return json;
}

nlohmann::ordered_json ScheduleToJson(const Schedule& schedule) {
  nlohmann::ordered_json placement = nlohmann::ordered_json::array();
  for (const std::vector<RankId>& holders : schedule.placement) {
    nlohmann::ordered_json ranks = nlohmann::ordered_json::array();
    for (const RankId rank : holders) ranks.push_back(rank.value());
    placement.push_back(std::move(ranks));
  }
  nlohmann::ordered_json json = {
      {"schedule", schedule.name},
      {"ranks", schedule.num_ranks()},
      {"stages", schedule.num_stages()},
      {"microbatches", schedule.num_microbatches},
      {"placement", std::move(placement)},
      {"lists", ListsToJson(schedule, schedule.ranks)}};
  if (schedule.is_continuous()) {
    json["period"] = ListsToJson(schedule, schedule.period);
    json["epilogue"] = ListsToJson(schedule, schedule.epilogue);
  }
  return json;
}

nlohmann::ordered_json ViolationToJson(const Violation& violation) {
  nlohmann::ordered_json json = {{"rule", violation.rule},
                                 {"rank", nullptr},
                                 {"position", nullptr},
                                 {"message", violation.message}};
  if (violation.rank.value() >= 0) json["rank"] = violation.rank.value();
  if (violation.position >= 0) json["position"] = violation.position;
  return json;
}

std::string ComparisonText(const std::vector<ComparedSchedule>& schedules,
                           const std::string& time_unit) {
  bool continuous = false;
  for (const ComparedSchedule& compared : schedules) {
    continuous |= compared.is_continuous && compared.run.has_value();
  }
  std::vector<std::string> heading = {
      "SCHEDULE", time_unit.empty() ? "MAKESPAN" : "MAKESPAN, s", "BUBBLE",
      "SPAN BUBBLE"};
  if (continuous) heading.push_back("STEADY BUBBLE");
  heading.insert(heading.end(), {"IN FLIGHT", "BUSY"});
  std::vector<std::vector<std::string>> rows;
  for (const ComparedSchedule& compared : schedules) {
    rows.push_back({compared.name});
    if (!compared.run) continue;
    const TimelineSummary& summary = compared.run->report.summary;
    std::vector<std::string>& row = rows.back();
    row.insert(row.end(),
               {Number(summary.makespan), PercentText(summary.sync_bubble),
                PercentText(summary.span_bubble)});
    if (continuous) {
      row.push_back(compared.is_continuous
                        ? PercentText(compared.run->period_bubble)
                        : "");
    }
    row.push_back(InFlightText(summary));
    row.push_back(Bar(1 - summary.sync_bubble, kBarWidth));
  }
  std::string text = RenderTable(heading, rows);
  if (schedules.size() == 1 && schedules[0].run) {
    absl::StrAppend(&text, "\n", RankTable(schedules[0].run->report.summary));
  }
  std::string remarks;
  for (const ComparedSchedule& compared : schedules) {
    for (const std::string& remark : RemarksOn(compared)) {
      absl::StrAppend(&remarks, compared.name, ": ", remark, "\n");
    }
  }
  return remarks.empty() ? text : absl::StrCat(text, "\n", remarks);
}

std::string CriticalPathText(const std::vector<ComparedSchedule>& schedules) {
  std::string text;
  for (const ComparedSchedule& compared : schedules) {
    if (!compared.run) continue;
    const CriticalShares shares = SharesOf(*compared.run);
    const double makespan = compared.run->report.summary.makespan;
    const double total = makespan > 0 ? makespan : 1;
    std::vector<std::vector<std::string>> rows;
    for (size_t rank = 0; rank < shares.time.size(); ++rank) {
      if (shares.ops[rank].empty()) continue;
      const std::string ops = absl::StrJoin(
          shares.ops[rank], ", ", [](std::string* out, const auto& op) {
            absl::StrAppend(out, op.second, " ", op.first);
          });
      rows.push_back({absl::StrCat("r", rank), Number(shares.time[rank]),
                      PercentText(shares.time[rank] / total), ops});
    }
    if (shares.messages > 0) {
      rows.push_back({"messages", Number(shares.messages),
                      PercentText(shares.messages / total), ""});
    }
    absl::StrAppend(
        &text, "\n", compared.name, ": critical path\n",
        RenderTable({"WHERE", "TIME", "OF MAKESPAN", "ACTIONS"}, rows));
  }
  return text;
}

nlohmann::ordered_json ComparisonToJson(
    const std::vector<ComparedSchedule>& schedules, bool critical_path) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const ComparedSchedule& compared : schedules) {
    json.push_back(ToJson(compared));
    if (critical_path && compared.run) {
      json.back()["critical_path"] = CriticalPathToJson(*compared.run);
    }
  }
  return json;
}

std::string ComparisonCsv(const std::vector<ComparedSchedule>& schedules) {
  std::string csv =
      "schedule,ranks,stages,microbatches,makespan,sync_bubble,span_bubble,"
      "peak_in_flight,peak_bytes,lower_bound,error\n";
  for (const ComparedSchedule& compared : schedules) {
    absl::StrAppend(&csv, CsvCell(compared.name));
    if (!compared.run) {
      absl::StrAppend(&csv, ",,,,,,,,,,",
                      CsvCell(std::string(compared.status.message())), "\n");
      continue;
    }
    const SimulationReport& report = compared.run->report;
    const int64_t most_bytes =
        report.peak_bytes.empty() ? 0
                                  : *std::max_element(report.peak_bytes.begin(),
                                                      report.peak_bytes.end());
    absl::StrAppendFormat(
        &csv, ",%d,%d,%d,%.9g,%.9g,%.9g,%.9g,%d,%.9g,\n",
        report.summary.ranks.size(), compared.num_stages,
        compared.num_microbatches, report.summary.makespan,
        report.summary.sync_bubble, report.summary.span_bubble,
        MostInFlight(report.summary), most_bytes, report.lower_bound);
  }
  return csv;
}

}  // namespace penstock
