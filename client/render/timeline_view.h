#ifndef PENSTOCK_CLIENT_RENDER_TIMELINE_VIEW_H_
#define PENSTOCK_CLIENT_RENDER_TIMELINE_VIEW_H_

#include <string>

#include "client/schedules/measured_job.h"
#include "nlohmann/json.hpp"

namespace penstock {

// A traced step for people and programs. All pure.

// The measured step above the predicted one on one scale: a line a rank, of
// equal parts of the time, each with the letter of the action that takes most
// of it (F B I W R U; N; G) or a '.'. Below, which weight versions were read,
// where there are several, where each rank's time went, the fractions, and what
// the clocks may be off.
std::string TimelineText(const MeasuredJob& job, const std::string& title);

// `step`, `cost_steps`, `fractions`, `clock_errors` (by rank), and for `measured` and `predicted` the
// `seconds` and for each rank `busy`, `waits`, `messages`, `overhead` and
// `actions`, each with `action`, `start` and `end`. Times in seconds.
nlohmann::ordered_json TimelineToJson(const MeasuredJob& job);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_TIMELINE_VIEW_H_
