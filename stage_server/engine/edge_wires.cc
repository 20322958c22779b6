#include "stage_server/engine/edge_wires.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/nan_to_num.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "models/layers/torch_status.h"

namespace penstock {
namespace {

// Of the step as a whole.
constexpr int32_t kNoMicrobatch = -1;

// Of a note: what its sender wants of the channel back, and the round trip of
// its clock; then when it sent the step's messages, by the common clock.
enum NoteWord { kWantsCompressed, kRoundTrip, kFirstPosted };
// In place of a round trip.
constexpr int64_t kNoClock = -1;

MessageHeader NoteHeader(int64_t step, const std::vector<int64_t>& note) {
  return {
      step, kNoMicrobatch, DTYPE_INT64, {static_cast<int64_t>(note.size())}};
}

template <typename Byte>
absl::Span<Byte> NoteBytes(std::vector<int64_t>& note) {
  return {reinterpret_cast<Byte*>(note.data()), note.size() * sizeof(int64_t)};
}

}  // namespace

absl::StatusOr<EdgeWires> EdgeWires::Make(const WireSpec& wire) {
  EdgeWires wires;
  const std::string& compress = wire.compress();
  wires.error_feedback_ = wire.error_feedback();
  if (compress.empty() || compress == "none") return wires;
  wires.enabled_ = true;
  if (compress == "auto") {
    wires.is_auto_ = true;
  } else if (compress == "bf16") {
    wires.type_ = WireType::kBfloat16;
  } else if (compress == "fp16") {
    wires.type_ = WireType::kFloat16;
  } else if (compress == "fp8_block") {
    wires.type_ = WireType::kFp8Block;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("wire.compress: \"", compress,
                     "\" is none of none, bf16, fp16, fp8_block, auto"));
  }
  return wires;
}

void EdgeWires::AddChannel(ChannelId channel, ChannelId back,
                           Direction direction, bool sends) {
  if (!enabled_) return;
  Wire& wire = wires_[channel];
  wire.back = back;
  wire.direction = direction;
  wire.sends = sends;
  wire.compressed = !is_auto_;
}

// Under auto the next smaller one.
WireType EdgeWires::TypeOn(const Wire& wire, at::ScalarType memory_type) const {
  if (!wire.compressed) return WireType::kPlain;
  const WireType type = !is_auto_                   ? type_
                        : memory_type == at::kFloat ? WireType::kBfloat16
                                                    : WireType::kFp8Block;
  return Shrinks(type, memory_type) ? type : WireType::kPlain;
}

at::Tensor EdgeWires::EncodeOn(Wire& wire, WireType type,
                               const at::Tensor& tensor) {
  const at::NoGradGuard no_grad;
  if (!error_feedback_ || wire.direction == Direction::kForward) {
    return Encode(tensor, type, wire.direction, &wire.scale);
  }
  // In float32: what is left over is smaller than a smaller type can tell.
  at::Tensor wanted = tensor.to(at::kFloat);
  if (wire.rest.defined() && wire.rest.sizes() == wanted.sizes()) {
    wanted = wanted.add(wire.rest);
  }
  const at::Tensor bytes = Encode(wanted, type, wire.direction, &wire.scale);
  const at::Tensor got = at::empty_like(wanted, at::MemoryFormat::Contiguous);
  // It is the encoding of just this size.
  if (!Decode(bytes, wire.direction, got).ok()) return bytes;
  // A number that is not finite leaves nothing behind.
  wire.rest = at::nan_to_num(wanted.sub(got), 0, 0, 0);
  return bytes;
}

absl::StatusOr<at::Tensor> EdgeWires::ToWire(ChannelId channel,
                                             at::Tensor tensor) {
  const auto found = wires_.find(channel);
  if (found == wires_.end()) return tensor;
  const WireType type = TypeOn(found->second, tensor.scalar_type());
  if (type == WireType::kPlain) return tensor;
  return CatchTorch("encoding a message",
                    [&] { return EncodeOn(found->second, type, tensor); });
}

absl::StatusOr<at::Tensor> EdgeWires::WireBuffer(
    ChannelId channel, const at::Tensor& tensor) const {
  const auto found = wires_.find(channel);
  if (found == wires_.end()) return tensor;
  const WireType type = TypeOn(found->second, tensor.scalar_type());
  if (type == WireType::kPlain) return tensor;
  return CatchTorch("memory for a receive", [&] {
    return at::empty({EncodedBytes(type, tensor.numel())},
                     tensor.options().dtype(at::kByte));
  });
}

absl::Status EdgeWires::FromWire(ChannelId channel, const at::Tensor& wire,
                                 const at::Tensor& tensor) const {
  if (wire.is_same(tensor)) return absl::OkStatus();
  return CatchTorch("decoding a message", [&]() -> absl::Status {
    const at::NoGradGuard no_grad;
    return Decode(wire, wires_.at(channel).direction, tensor);
  });
}

void EdgeWires::Sent(ChannelId channel, int64_t posted_nanos) {
  if (!is_auto_) return;
  const auto found = wires_.find(channel);
  if (found == wires_.end()) return;
  found->second.posted_nanos.push_back(posted_nanos);
}

void EdgeWires::Received(ChannelId channel, int64_t wire_bytes,
                         int64_t tensor_bytes, int64_t asked_nanos,
                         int64_t came_nanos) {
  if (!is_auto_) return;
  const auto found = wires_.find(channel);
  if (found == wires_.end()) return;
  WireSample& sample = found->second.sample;
  sample.plain_bytes += tensor_bytes;
  sample.messages.push_back({.wire_bytes = wire_bytes,
                             .asked_nanos = asked_nanos,
                             .came_nanos = came_nanos});
}

absl::StatusOr<RequestId> EdgeWires::PostNote(
    int64_t step, ChannelId channel, Wire& wire,
    const std::optional<ClockSample>& clock, Transport& transport) {
  if (!wire.sends) {
    wire.note.assign(kFirstPosted + wire.sample.messages.size(), 0);
    return transport.PostReceive(channel, NoteHeader(step, wire.note),
                                 NoteBytes<std::byte>(wire.note));
  }
  const bool wants = wires_.at(wire.back).choice.compressed;
  wire.note = {wants ? 1 : 0, clock ? clock->round_trip_nanos : kNoClock};
  for (const int64_t posted : std::exchange(wire.posted_nanos, {})) {
    wire.note.push_back(posted + (clock ? clock->offset_nanos : 0));
  }
  return transport.PostSend(channel, NoteHeader(step, wire.note),
                            NoteBytes<const std::byte>(wire.note));
}

void EdgeWires::ReadNote(Wire& wire, int64_t compute_nanos,
                         const std::optional<ClockSample>& clock) {
  wires_.at(wire.back).compressed = wire.note[kWantsCompressed] != 0;
  // As the sender has just been told.
  wire.compressed = wire.choice.compressed;
  WireSample sample = std::exchange(wire.sample, WireSample());
  if (!clock.has_value() || wire.note[kRoundTrip] == kNoClock) return;
  sample.compute_nanos = compute_nanos;
  sample.latency_nanos =
      std::max(clock->round_trip_nanos, wire.note[kRoundTrip]) / 2;
  for (size_t i = 0; i < sample.messages.size(); ++i) {
    sample.messages[i].posted_nanos =
        wire.note[kFirstPosted + i] - clock->offset_nanos;
  }
  wire.choice = NextChoice(wire.choice, sample);
}

absl::Status EdgeWires::EndStep(int64_t step, int64_t compute_nanos,
                                std::optional<ClockSample> clock,
                                Transport& transport, absl::Time deadline) {
  if (!is_auto_) return absl::OkStatus();
  std::vector<RequestId> requests;
  for (auto& [channel, wire] : wires_) {
    if (!wires_.contains(wire.back)) continue;
    PENSTOCK_ASSIGN_OR_RETURN(requests.emplace_back(),
                              PostNote(step, channel, wire, clock, transport));
  }
  for (const RequestId request : requests) {
    PENSTOCK_RETURN_IF_ERROR(transport.Wait(request, deadline));
  }
  for (auto& [channel, wire] : wires_) {
    if (wire.sends || !wires_.contains(wire.back)) continue;
    ReadNote(wire, compute_nanos, clock);
  }
  return absl::OkStatus();
}

}  // namespace penstock
