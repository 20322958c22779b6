#include "client/schedules/measured_job.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "schedule/ir/schedule_proto.h"
#include "schedule/simulator/simulate.h"
#include "schedule/simulator/steady_period.h"

namespace penstock {
namespace {

std::vector<StepTrace> TracesOf(const GetTimelineResponse& response) {
  return {response.ranks().begin(), response.ranks().end()};
}

std::string NameOf(const StagePlan& stage) {
  if (stage.layers().empty()) return "";
  const std::string& first = *stage.layers().begin();
  const std::string& last = *stage.layers().rbegin();
  return first == last ? first : absl::StrCat(first, "..", last);
}

void FillLink(const LinkCost& cost, wire::LinkProfile* link) {
  link->set_latency_seconds(cost.latency);
  link->set_bytes_per_second(cost.bandwidth);
}

void AddLayers(const CostModel& costs, const Plan& plan,
               wire::Profile* profile) {
  for (size_t stage = 0; stage < costs.stages.size(); ++stage) {
    const StageCost& cost = costs.stages[stage];
    wire::LayerProfile* layer = profile->add_layers();
    layer->set_name(NameOf(plan.stages(static_cast<int>(stage))));
    layer->set_forward_seconds(cost.forward);
    const bool is_split = cost.input_gradient > 0 || cost.weight_gradient > 0;
    const double half = is_split ? 0 : cost.backward.value_or(0) / 2;
    layer->set_input_gradient_seconds(cost.input_gradient + half);
    layer->set_weight_gradient_seconds(cost.weight_gradient + half);
    if (cost.backward) layer->set_backward_seconds(*cost.backward);
    if (cost.recompute) layer->set_recompute_seconds(*cost.recompute);
    layer->set_update_seconds(cost.update);
  }
}

// The edges' tensors; and what each stage sends to the next under the stage's
// own name, for schedules that know of no tensors.
void AddTensors(const Schedule& schedule, const std::vector<int64_t>& bytes,
                wire::Profile* profile) {
  std::set<std::string> names;
  const auto add = [&](const std::string& name, int64_t size) {
    if (!names.insert(name).second) return;
    wire::TensorProfile* tensor = profile->add_tensors();
    tensor->set_name(name);
    tensor->set_bytes(size);
  };
  const size_t edges = std::min(bytes.size(), schedule.edges.size());
  for (size_t i = 0; i < edges; ++i) add(schedule.edges[i].tensor, bytes[i]);
  for (int stage = 0; stage < profile->layers_size(); ++stage) {
    int64_t sent = 0;
    for (size_t i = 0; i < edges; ++i) {
      const Edge& edge = schedule.edges[i];
      if (edge.kind == EdgeKind::kActivation && edge.from == StageId(stage) &&
          edge.to == StageId(stage + 1)) {
        sent += bytes[i];
      }
    }
    add(profile->layers(stage).name(), sent);
  }
}

}  // namespace

absl::StatusOr<MeasuredJob> MeasureJob(
    const GetTimelineResponse& shown,
    const std::vector<GetTimelineResponse>& steps) {
  MeasuredJob job;
  job.step = shown.step();
  const Plan& plan = shown.plan();
  PENSTOCK_ASSIGN_OR_RETURN(const Schedule whole, FromProto(plan.schedule()));
  job.schedule = TracedSchedule(whole, shown.step());
  PENSTOCK_ASSIGN_OR_RETURN(job.measured,
                            MeasuredTimeline(job.schedule, TracesOf(shown)));
  job.measured_seconds = StepSeconds(TracesOf(shown));
  for (const StepTrace& trace : shown.ranks()) {
    job.clock_errors.push_back(static_cast<double>(trace.round_trip_nanos()) *
                               0.5e-9);
  }
  std::vector<Timeline> runs;
  for (const GetTimelineResponse& step : steps) {
    PENSTOCK_ASSIGN_OR_RETURN(runs.emplace_back(),
                              MeasuredTimeline(job.schedule, TracesOf(step)));
    job.cost_steps.push_back(step.step());
  }
  job.costs = MeasuredCosts(job.schedule, runs, EdgeBytes(plan));
  SimulateOptions options;
  options.receive_lookahead = plan.receive_lookahead();
  options.record_transfers = true;
  PENSTOCK_ASSIGN_OR_RETURN(SteadyPeriod predicted,
                            SimulateSteadyPeriod(whole, job.costs, options));
  job.predicted = std::move(predicted.timeline);
  job.predicted_seconds = predicted.seconds;
  PENSTOCK_ASSIGN_OR_RETURN(
      job.fractions, MeasureFractions(whole, TracesOf(shown), EdgeBytes(plan)));
  return job;
}

wire::Profile ProfileOf(const MeasuredJob& job, const Plan& plan) {
  wire::Profile profile;
  profile.set_model(absl::StrCat(plan.job().name(), ", schedule ",
                                 job.schedule.name, ", measured"));
  AddLayers(job.costs, plan, &profile);
  AddTensors(job.schedule, job.costs.edge_bytes, &profile);
  FillLink(job.costs.link, profile.mutable_link());
  for (const auto& [ends, cost] : job.costs.links) {
    wire::LinkProfile* link = profile.add_links();
    link->set_from_rank(ends.first);
    link->set_to_rank(ends.second);
    FillLink(cost, link);
  }
  profile.set_action_overhead_seconds(job.costs.action_overhead);
  profile.set_agree_norm_seconds(job.costs.agree_norm);
  return profile;
}

}  // namespace penstock
