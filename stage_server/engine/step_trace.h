#ifndef PENSTOCK_STAGE_SERVER_ENGINE_STEP_TRACE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_STEP_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "proto/stage_service.pb.h"
#include "stage_server/engine/action_ring.h"

namespace penstock {

// Whether the step, from 1, is one of about 16 per octave: every one up to 31,
// every second up to 63, every fourth up to 127 and so on. A million steps have
// 288 of them. The same on all ranks.
bool IsSampledStep(int64_t step);

// Whether a rank whose list has so many actions reports when those of the step
// ran: of the sampled steps
//   all                  up to 2048 actions,
//   every second         up to 4096, and so on,
//   one in an octave     up to 2^17,
//   none                 above,
// so that an octave's reports are below about 512 KiB. A longer list's steps
// are among a shorter one's, so that whole steps remain.
bool IsTracedStep(int64_t step, size_t num_actions);

// The records, which are one step's from its first action on, relative to
// `start_nanos`, when the step began. Without a clock offset.
StepTrace TraceOf(int64_t step, int64_t start_nanos,
                  const std::vector<ActionRecord>& records);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_STEP_TRACE_H_
