#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EDGE_WIRES_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EDGE_WIRES_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/job.pb.h"
#include "stage_server/engine/edge_direction.h"
#include "stage_server/engine/wire_choice.h"
#include "stage_server/engine/wire_codec.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// How the activation edges of one rank put their tensors on the wire, as the
// job's `wire` says. Both ends of a channel know what type its messages have in
// a step before the step begins: under `auto` the sender tells the receiver at
// the end of the step before. Tied weights and integers are never encoded.
//
// Used by one thread. Libtorch's exceptions are caught.
class EdgeWires {
 public:
  //   INVALID_ARGUMENT  `wire.compress` is none of the known.
  static absl::StatusOr<EdgeWires> Make(const WireSpec& wire);

  // Before the rank's first step, for each of its channels with activations or
  // their gradients, in any order.
  void AddChannel(ChannelId channel, Direction direction, bool sends);

  // What to send for `tensor`, contiguous: `tensor` itself, or its encoding.
  absl::StatusOr<at::Tensor> ToWire(ChannelId channel, at::Tensor tensor);

  // Memory for what comes for `tensor`: `tensor` itself, or some of its own.
  absl::StatusOr<at::Tensor> WireBuffer(ChannelId channel,
                                        const at::Tensor& tensor) const;
  // What came, into `tensor`. Nothing to do where both are the same.
  absl::Status FromWire(ChannelId channel, const at::Tensor& wire,
                        const at::Tensor& tensor) const;

  // A message has left: it had so many bytes on the wire and in memory, and was
  // on the way for `exposed_nanos` in which the rank did not compute.
  void Sent(ChannelId channel, int64_t wire_bytes, int64_t tensor_bytes,
            int64_t exposed_nanos);

  // After the last message of a step, in which the rank computed for so long.
  // Under `auto`: chooses anew and tells the receivers, and hears from the
  // senders, what the next step's messages will be.
  absl::Status EndStep(int64_t step, int64_t compute_nanos,
                       Transport& transport, absl::Time deadline);

  // Whether anything may be encoded at all.
  bool enabled() const { return enabled_; }

 private:
  struct Wire {
    Direction direction = Direction::kForward;
    bool sends = false;
    // In this step.
    bool compressed = false;
    WireScale scale;
    // What the last gradient lost, of its shape. Undefined: nothing.
    at::Tensor rest;
    WireChoice choice;
    WireSample sample;
    // Sent or received at the end of a step.
    uint8_t note = 0;
  };

  EdgeWires() = default;

  // The type that the channel's messages have in this step, in numbers of a
  // memory type.
  WireType TypeOn(const Wire& wire, at::ScalarType memory_type) const;
  at::Tensor EncodeOn(Wire& wire, WireType type, const at::Tensor& tensor);

  bool enabled_ = false;
  bool is_auto_ = false;
  bool error_feedback_ = false;
  // Unless auto.
  WireType type_ = WireType::kPlain;
  std::map<ChannelId, Wire> wires_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_EDGE_WIRES_H_
