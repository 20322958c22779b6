#include "stage_server/transport/ucx/operation.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "stage_server/transport/transport_errors.h"

namespace penstock {
namespace {

// The lower bits of a request id are its slot.
constexpr int kSlotBits = 20;

void Copy(absl::Span<const std::byte> from, std::byte* to) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

}  // namespace

void Operation::PostSend(int64_t job_epoch, const ChannelSpec& channel,
                         UcxPeer& peer, const MessageHeader& header,
                         absl::Span<const std::byte> bytes) {
  is_send_ = true;
  channel_ = &channel;
  peer_ = &peer;
  header_ = WireHeader(header, bytes.size());
  const absl::Span<const std::byte> head = header_.bytes();
  const uint64_t tag = WireTag(job_epoch, channel.id, WireKind::kMessage);
  if (IsInline(bytes.size())) {
    Copy(head, wire_.data());
    Copy(bytes, wire_.data() + head.size());
    message_ = UcxPart::Send(peer.endpoint,
                             {wire_.data(), head.size() + bytes.size()}, tag);
    large_payload_ = UcxPart();
    return;
  }
  message_ = UcxPart::Send(peer.endpoint, head, tag);
  large_payload_ =
      UcxPart::Send(peer.endpoint, bytes,
                    WireTag(job_epoch, channel.id, WireKind::kLargePayload));
}

void Operation::PostReceive(int64_t job_epoch, const ChannelSpec& channel,
                            UcxPeer& peer, const MessageHeader& expected,
                            absl::Span<std::byte> buffer) {
  is_send_ = false;
  header_checked_ = false;
  channel_ = &channel;
  peer_ = &peer;
  header_ = WireHeader(expected, buffer.size());
  buffer_ = buffer;
  message_ =
      UcxPart::Receive(peer.worker->handle(), absl::MakeSpan(wire_),
                       WireTag(job_epoch, channel.id, WireKind::kMessage));
  if (IsInline(buffer.size())) {
    large_payload_ = UcxPart();
    return;
  }
  large_payload_ =
      UcxPart::Receive(peer.worker->handle(), buffer,
                       WireTag(job_epoch, channel.id, WireKind::kLargePayload));
}

absl::StatusOr<bool> Operation::Check() {
  if (message_.IsDone()) {
    if (message_.status() != UCS_OK) return FailedPart(message_);
    if (!is_send_ && !header_checked_) {
      PENSTOCK_RETURN_IF_ERROR(CheckReceived());
      header_checked_ = true;
    }
    if (large_payload_.IsDone()) {
      if (large_payload_.status() != UCS_OK) return FailedPart(large_payload_);
      return true;
    }
  }
  PENSTOCK_RETURN_IF_ERROR(peer_->status());
  return false;
}

absl::Status Operation::CheckReceived() {
  const absl::Span<const std::byte> head = header_.bytes();
  const size_t inline_bytes = IsInline(buffer_.size()) ? buffer_.size() : 0;
  const bool equal = message_.size_bytes() == head.size() + inline_bytes &&
                     std::memcmp(wire_.data(), head.data(), head.size()) == 0;
  if (equal) {
    Copy({wire_.data() + head.size(), inline_bytes}, buffer_.data());
    return absl::OkStatus();
  }
  PENSTOCK_ASSIGN_OR_RETURN(MessageFacts expected, ParseMessage(head));
  expected.size_bytes = buffer_.size();
  const auto got = ParseMessage({wire_.data(), message_.size_bytes()});
  if (!got.ok()) return WithContext(got.status(), ToString(*channel_));
  return CheckMessage(*channel_, expected, *got);
}

absl::Status Operation::FailedPart(const UcxPart& part) const {
  PENSTOCK_RETURN_IF_ERROR(peer_->status());
  const absl::Status status = UcxStatus(
      part.status(),
      absl::StrCat(is_send_ ? "send on " : "receive on ", ToString(*channel_)));
  if (absl::IsUnavailable(status)) {
    return PeerGone(peer_->rank, status.message());
  }
  return status;
}

void Operation::Abandon() {
  message_.Abandon(peer_->worker->handle());
  large_payload_.Abandon(peer_->worker->handle());
}

absl::Status Operation::DeadlinePassed() const {
  PENSTOCK_ASSIGN_OR_RETURN(const MessageFacts facts,
                            ParseMessage(header_.bytes()));
  return penstock::DeadlinePassed(is_send_ ? "send" : "receive", *channel_,
                                  facts.header);
}

OperationTable::Entry OperationTable::Add() {
  if (free_.empty()) {
    free_.push_back(slots_.size());
    slots_.emplace_back();
  }
  const size_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.id = next_sequence_++ << kSlotBits | static_cast<int64_t>(index);
  return {slot.id, slot.operation.get()};
}

Operation* OperationTable::Find(RequestId id) {
  const uint64_t index = id & ((int64_t{1} << kSlotBits) - 1);
  if (id < 0 || index >= slots_.size() || slots_[index].id != id) {
    return nullptr;
  }
  return slots_[index].operation.get();
}

void OperationTable::Remove(RequestId id) {
  const size_t index = id & ((int64_t{1} << kSlotBits) - 1);
  slots_[index].id = -1;
  free_.push_back(index);
}

void OperationTable::AbandonAll() {
  for (Slot& slot : slots_) {
    if (slot.id != -1) slot.operation->Abandon();
  }
}

}  // namespace penstock
