#ifndef PENSTOCK_SCHEDULE_SIMULATOR_CHROME_TRACE_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_CHROME_TRACE_H_

#include <string>

#include "absl/types/span.h"
#include "schedule/simulator/run_view.h"

namespace penstock {

// The runs as a trace that Perfetto and chrome://tracing open (the JSON of the
// Trace Event Format): a process a run, a thread a rank; a slice an action with
// stage, microbatch and version; the waits of receives, N and G as slices of
// their own; arrows for messages that were recorded; a counter of the
// microbatches in flight on each rank. One unit of the timeline is a second.
//
// Pure: equal arguments give equal bytes.
std::string ChromeTrace(absl::Span<const RunView> runs);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_CHROME_TRACE_H_
