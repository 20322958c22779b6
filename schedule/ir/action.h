#ifndef PENSTOCK_SCHEDULE_IR_ACTION_H_
#define PENSTOCK_SCHEDULE_IR_ACTION_H_

#include <cstdint>
#include <optional>

#include "base/ids.h"

namespace penstock {

// The kind of one cell of a schedule; docs/schedule_format.md says what each
// does. The values are those of proto Op.
enum class Op {
  kForward = 1,          // F
  kBackward = 2,         // B: I and W fused
  kBackwardInput = 3,    // I
  kBackwardWeight = 4,   // W
  kRecompute = 5,        // R
  kSendForward = 6,      // SF
  kReceiveForward = 7,   // RF
  kSendBackward = 8,     // SB
  kReceiveBackward = 9,  // RB
  kReduceGradient = 10,  // G
  kAgreeNorm = 11,       // N
  kUpdate = 12,          // U
};

// Communication once a step instead of once a microbatch: tied weights. The
// text writes it `*`.
inline constexpr MicrobatchId kWholeStep{-1};

// Which part of its microbatch a backward, and the gradient it sends, stands
// for: Chimera's backward halving cuts a microbatch in two (Li and Hoefler,
// Chimera, 2021, section 3.5). The text writes `2B3.0` and `2B3.1`.
enum class Half : int8_t { kWhole, kFirst, kSecond };

// One instruction of one rank. Fields that its op does not use keep their
// defaults, so that equality is meaningful. Small (32 bytes): a schedule has up
// to ten million.
struct Action {
  Op op = Op::kForward;
  // Every op but N.
  StageId stage;
  // F B I W R and communication (`kWholeStep` for a tied weight's).
  MicrobatchId microbatch;
  // The microbatches that one F carries: this one and the next (Chimera's
  // forward doubling; the text writes `0F2+3`). 1 for every other action.
  int16_t num_microbatches = 1;
  Half half = Half::kWhole;
  // The first of an overlapped pair X&Y: may run at the same time as the rank's
  // next compute action, which may stand after X's sends. Where nothing
  // overlaps, X runs first.
  bool overlaps_next = false;
  // Weights that an F, R or backward uses, or that a U publishes (version k + 1
  // from k) and its G sums for, or that a tied weight's SF and RF move and its
  // SB and RB are for; unset where a flush leaves only one.
  std::optional<int32_t> version;
  // SF RF SB RB: index into `Schedule::edges`, and the rank at the other end.
  // `stage` is the one on this rank: the sender's at a send, the receiver's at
  // a receive.
  EdgeId edge;
  RankId peer;

  friend bool operator==(const Action&, const Action&) = default;
};

// Forms for the ops, to read at a glance.
Action Forward(StageId stage, MicrobatchId microbatch);
Action Backward(StageId stage, MicrobatchId microbatch);
Action Communicate(Op op, StageId stage, MicrobatchId microbatch, EdgeId edge,
                   RankId peer);
Action AgreeNorm();
Action Update(StageId stage);

bool IsCompute(Op op);  // F B I W R
bool IsSend(Op op);     // SF SB
bool IsReceive(Op op);  // RF RB

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_ACTION_H_
