#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_PART_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_PART_H_

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace penstock {

// One UCX message that is being sent or received. Not an owner of its bytes:
// they stay until it is done or its worker has ended. Used by one thread.
class UcxPart {
 public:
  // Of nothing: done.
  UcxPart() = default;

  // Both post and return at once.
  static UcxPart Send(ucp_ep_h endpoint, absl::Span<const std::byte> bytes,
                      uint64_t tag);
  static UcxPart Receive(ucp_worker_h worker, absl::Span<std::byte> buffer,
                         uint64_t tag);

  // Whether it is done by now. Does not make progress.
  bool IsDone();

  // Once done:
  ucs_status_t status() const { return status_; }
  // How many bytes were received.
  size_t size_bytes() const { return size_bytes_; }

  // Lets go of it, done or not. A receive that was matched goes on until its
  // worker ends.
  void Abandon(ucp_worker_h worker);

 private:
  UcxPart(ucs_status_ptr_t request, bool is_receive);

  // Null when done.
  void* request_ = nullptr;
  bool is_receive_ = false;
  ucs_status_t status_ = UCS_OK;
  size_t size_bytes_ = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_PART_H_
