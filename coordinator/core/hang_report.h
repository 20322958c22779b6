#ifndef PENSTOCK_COORDINATOR_CORE_HANG_REPORT_H_
#define PENSTOCK_COORDINATOR_CORE_HANG_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/stage_service.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What is known of one rank of a job that hangs.
struct RankEvidence {
  // For people: "stage 1 on node-b".
  std::string place;
  // What it was at; unset where it has not said.
  std::optional<MissingAction> at;
  // Why it cannot have said: "has not been heard for 3.1s". Empty if it could.
  std::string silence;
  // The last step that it has reported.
  int64_t finished_step = 0;
};

// What a hang comes down to.
enum class HangCause {
  // Each rank of it waits for the next: the lists are wrong.
  kWaitCycle,
  // A rank that is not heard any more.
  kSilentRank,
  // A rank that is at work, only not done: slow, or the time limit too short.
  kSlowAction,
  // What is waited for has been sent, or all are where they should meet.
  kLostMessage,
  // A rank that is heard has not said what it is at.
  kUnknown,
};

struct HangReport {
  HangCause cause = HangCause::kUnknown;
  // Ranks in the order in which each waits for the next; the last one is the
  // cause, or, of a cycle, the first of it again.
  std::vector<int> chain;
  // A clause for each: which action of which rank and microbatch waits for
  // which, and the cause.
  std::string text;
};

// Follows who waits for whom from rank `first`, which waited too long.
// A receive waits for its send; a send, at the end of a step, for its receive;
// N for every rank that has not come to it, of which one that is silent is
// followed first, then one that has not answered; what waits for a reduction
// for a holder of the stage that has not come to its G.
//
// Of a continuous job `schedule` and `ranks` are a stretch of the run
// (run_window.h), and `begin` says where in it each rank's list begins.
//
// Total: evidence that does not fit the lists counts as none. Requires: one
// entry a rank, `first` is one of them. Pure.
HangReport ExplainHang(const Schedule& schedule,
                       const std::vector<RankEvidence>& ranks, int first,
                       const std::vector<int64_t>& begin = {});

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_HANG_REPORT_H_
