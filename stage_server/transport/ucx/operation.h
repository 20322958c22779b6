#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_OPERATION_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_OPERATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "stage_server/transport/transport.h"
#include "stage_server/transport/ucx/ucx_part.h"
#include "stage_server/transport/ucx/ucx_peers.h"
#include "stage_server/transport/ucx/wire.h"

namespace penstock {

// One posted send or receive of a tensor. Stays where it is while it is
// posted: UCX reads and writes its bytes. Used by one thread.
class Operation {
 public:
  // Post on `channel`, which lives as long as the operation, in `job_epoch`.
  void PostSend(int64_t job_epoch, const ChannelSpec& channel, UcxPeer& peer,
                const MessageHeader& header, absl::Span<const std::byte> bytes);
  void PostReceive(int64_t job_epoch, const ChannelSpec& channel, UcxPeer& peer,
                   const MessageHeader& expected, absl::Span<std::byte> buffer);

  // Whether it is complete by now; errors as Transport::Test.
  absl::StatusOr<bool> Check();

  // Lets go of what UCX still has; only its worker's end makes the bytes safe.
  void Abandon();

  absl::Status DeadlinePassed() const;

 private:
  absl::Status CheckReceived();
  absl::Status FailedPart(const UcxPart& part) const;

  bool is_send_ = false;
  bool header_checked_ = false;
  const ChannelSpec* channel_ = nullptr;
  UcxPeer* peer_ = nullptr;
  // What is sent, or what is expected.
  WireHeader header_;
  size_t payload_bytes_ = 0;
  absl::Span<std::byte> buffer_;
  UcxPart message_;
  UcxPart large_payload_;
  std::array<std::byte, kMaxWireHeader + kMaxInlinePayload> wire_;
};

// Operations by request id, re-used. Ids are not.
class OperationTable {
 public:
  struct Entry {
    RequestId id;
    Operation* operation;
  };

  // A free operation and the id that it has from now on.
  Entry Add();
  // Null when the id is not in use.
  Operation* Find(RequestId id);
  // Requires: in use.
  void Remove(RequestId id);
  void AbandonAll();

 private:
  struct Slot {
    RequestId id = -1;
    std::unique_ptr<Operation> operation = std::make_unique<Operation>();
  };

  std::vector<Slot> slots_;
  std::vector<size_t> free_;
  int64_t next_sequence_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_OPERATION_H_
