#ifndef PENSTOCK_STAGE_SERVER_SERVICE_JOB_LOG_H_
#define PENSTOCK_STAGE_SERVER_SERVICE_JOB_LOG_H_

#include <spdlog/common.h>

#include <functional>
#include <memory>

#include "stage_server/service/session_events.h"

namespace penstock {

// A sink for spdlog that hands each line to `post` as an `OwnLogLine`, so that
// what is logged during a job reaches the job's log. Thread-safe; `post` must
// not block, must not log, and must outlive the sink.
spdlog::sink_ptr MakeJobLogSink(std::function<void(Event)> post);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_SERVICE_JOB_LOG_H_
