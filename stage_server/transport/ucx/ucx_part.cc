#include "stage_server/transport/ucx/ucx_part.h"

namespace penstock {

UcxPart::UcxPart(ucs_status_ptr_t request, bool is_receive)
    : is_receive_(is_receive) {
  if (UCS_PTR_IS_PTR(request)) {
    request_ = request;
    status_ = UCS_INPROGRESS;
  } else {
    status_ = UCS_PTR_RAW_STATUS(request);
  }
}

UcxPart UcxPart::Send(ucp_ep_h endpoint, absl::Span<const std::byte> bytes,
                      uint64_t tag) {
  ucp_request_param_t params;
  params.op_attr_mask = 0;
  return UcxPart(
      ucp_tag_send_nbx(endpoint, bytes.data(), bytes.size(), tag, &params),
      /*is_receive=*/false);
}

UcxPart UcxPart::Receive(ucp_worker_h worker, absl::Span<std::byte> buffer,
                         uint64_t tag) {
  ucp_request_param_t params;
  // UCX 1.13 tells the size of a message only through a request.
  params.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  return UcxPart(ucp_tag_recv_nbx(worker, buffer.data(), buffer.size(), tag,
                                  /*tag_mask=*/~uint64_t{0}, &params),
                 /*is_receive=*/true);
}

bool UcxPart::IsDone() {
  if (request_ == nullptr) return true;
  if (is_receive_) {
    ucp_tag_recv_info_t info;
    status_ = ucp_tag_recv_request_test(request_, &info);
    if (status_ == UCS_INPROGRESS) return false;
    size_bytes_ = info.length;
  } else {
    status_ = ucp_request_check_status(request_);
    if (status_ == UCS_INPROGRESS) return false;
  }
  ucp_request_free(request_);
  request_ = nullptr;
  return true;
}

void UcxPart::Abandon(ucp_worker_h worker) {
  if (IsDone()) return;
  if (is_receive_) ucp_request_cancel(worker, request_);
  ucp_request_free(request_);
  request_ = nullptr;
  status_ = UCS_ERR_CANCELED;
}

}  // namespace penstock
