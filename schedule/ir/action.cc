#include "schedule/ir/action.h"

namespace penstock {

Action Forward(StageId stage, MicrobatchId microbatch) {
  return {.op = Op::kForward, .stage = stage, .microbatch = microbatch};
}

Action Backward(StageId stage, MicrobatchId microbatch) {
  return {.op = Op::kBackward, .stage = stage, .microbatch = microbatch};
}

Action Communicate(Op op, StageId stage, MicrobatchId microbatch, EdgeId edge,
                   RankId peer) {
  return {.op = op,
          .stage = stage,
          .microbatch = microbatch,
          .edge = edge,
          .peer = peer};
}

Action AgreeNorm() { return {.op = Op::kAgreeNorm}; }

Action Update(StageId stage) { return {.op = Op::kUpdate, .stage = stage}; }

bool IsCompute(Op op) {
  switch (op) {
    case Op::kForward:
    case Op::kBackward:
    case Op::kBackwardInput:
    case Op::kBackwardWeight:
    case Op::kRecompute:
      return true;
    default:
      return false;
  }
}

bool IsSend(Op op) { return op == Op::kSendForward || op == Op::kSendBackward; }

bool IsReceive(Op op) {
  return op == Op::kReceiveForward || op == Op::kReceiveBackward;
}

}  // namespace penstock
