#ifndef PENSTOCK_STAGE_SERVER_ENGINE_EDGE_WIRES_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_EDGE_WIRES_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/job.pb.h"
#include "stage_server/engine/clock_offset.h"
#include "stage_server/engine/edge_direction.h"
#include "stage_server/engine/wire_choice.h"
#include "stage_server/engine/wire_codec.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// How the activation edges of one rank put their tensors on the wire, as the
// job's `wire` says. Both ends of a channel know what type its messages have in
// a step before the step begins: under `auto` the receiver chooses by what it
// saw of a step, and tells the sender at the end of the next one. What has no
// channel back, as integers, is then left alone. Tied weights and integers are
// never encoded.
//
// Used by one thread. Libtorch's exceptions are caught.
class EdgeWires {
 public:
  //   INVALID_ARGUMENT  `wire.compress` is none of the known.
  static absl::StatusOr<EdgeWires> Make(const WireSpec& wire);

  // Before the rank's first step, for each of its channels with activations or
  // their gradients, in any order. `back` is that of the same edge the other
  // way, between the same ranks.
  void AddChannel(ChannelId channel, ChannelId back, Direction direction,
                  bool sends);

  // What to send for `tensor`, contiguous: `tensor` itself, or its encoding.
  absl::StatusOr<at::Tensor> ToWire(ChannelId channel, at::Tensor tensor);

  // Memory for what comes for `tensor`: `tensor` itself, or some of its own.
  absl::StatusOr<at::Tensor> WireBuffer(ChannelId channel,
                                        const at::Tensor& tensor) const;
  // What came, into `tensor`. Nothing to do where both are the same.
  absl::Status FromWire(ChannelId channel, const at::Tensor& wire,
                        const at::Tensor& tensor) const;

  // A message was handed to the transport, by this rank's MonotonicNanos.
  void Sent(ChannelId channel, int64_t posted_nanos);
  // A message has come: it had so many bytes on the wire and in memory; the
  // rank had nothing else to do from `asked_nanos` on, and had it, or saw then
  // that it had it, at `came_nanos`.
  void Received(ChannelId channel, int64_t wire_bytes, int64_t tensor_bytes,
                int64_t asked_nanos, int64_t came_nanos);

  // After the last message of a step, in which the rank computed for so long.
  // Under `auto`: both ends of an edge tell each other when they sent, and how
  // they want the messages of the next step. Without a clock, by which both
  // measure, they keep to what is.
  absl::Status EndStep(int64_t step, int64_t compute_nanos,
                       std::optional<ClockSample> clock, Transport& transport,
                       absl::Time deadline);

  // Whether anything may be encoded at all.
  bool enabled() const { return enabled_; }
  bool is_auto() const { return is_auto_; }

 private:
  struct Wire {
    ChannelId back;
    Direction direction = Direction::kForward;
    bool sends = false;
    // In this step.
    bool compressed = false;
    WireScale scale;
    // What the last gradient lost, of its shape. Undefined: nothing.
    at::Tensor rest;
    // Of a sender: of the step's messages.
    std::vector<int64_t> posted_nanos;
    // Of a receiver: what it wants, and what it sees; `posted_nanos` follows.
    WireChoice choice;
    WireSample sample;
    // Goes through the channel at the end of a step.
    std::vector<int64_t> note;
  };

  EdgeWires() = default;

  // The type that the channel's messages have in this step, in numbers of a
  // memory type.
  WireType TypeOn(const Wire& wire, at::ScalarType memory_type) const;
  absl::StatusOr<RequestId> PostNote(int64_t step, ChannelId channel,
                                     Wire& wire,
                                     const std::optional<ClockSample>& clock,
                                     Transport& transport);
  void ReadNote(Wire& wire, int64_t compute_nanos,
                const std::optional<ClockSample>& clock);
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
