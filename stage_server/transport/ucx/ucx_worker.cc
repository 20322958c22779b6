#include "stage_server/transport/ucx/ucx_worker.h"

#include <signal.h>
#include <ucm/api/ucm.h>
#include <ucs/config/global_opts.h>
#include <ucs/debug/debug.h>

#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

// What UCX does to a process as soon as it is loaded, undone.
void KeepUcxToItself() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (const int signal : {SIGILL, SIGSEGV, SIGBUS, SIGFPE}) {
      ucs_debug_disable_signal(signal);
    }
    ucs_global_opts_set_value("ERROR_SIGNALS", "");
    ucs_global_opts_set_value("HANDLE_ERRORS", "none");
    if (ucs_global_opts.log_component.log_level == UCS_LOG_LEVEL_WARN) {
      // Its default. Errors reach us as a status; the log goes to standard
      // output, which is not UCX's.
      ucs_global_opts_set_value("LOG_LEVEL", "fatal");
    }
    ucm_global_opts.enable_events = 0;
  });
}

using Setting = std::pair<const char*, std::string>;

// Every message leaves in full when it is posted, into the receiver's shared
// memory or the socket (RNDV_THRESH=inf): in a rendezvous both ends would have
// to answer each other while they compute, and neither does
// (docs/decisions/003). Through shared memory, 256 segments of 48 KiB can be
// under way to one rank without its help; UCX keeps a segment's size in 16
// bits.
// Over TCP without zero copy: UCX 1.13 aborts when an endpoint fails in the
// middle of a zero-copy eager message.
std::vector<Setting> SettingsOf(UcxWay way, const std::string& interface) {
  if (way == UcxWay::kTcp) {
    return {{"TLS", "tcp"},
            {"NET_DEVICES", interface},
            {"RNDV_THRESH", "inf"},
            {"ZCOPY_THRESH", "inf"},
            {"TX_SEG_SIZE", "64k"}};
  }
  // Without cross-memory attach: UCX aborts when it reads from a process that
  // has died.
  return {{"TLS", "posix,self"},
          {"RNDV_THRESH", "inf"},
          {"MM_SEG_SIZE", "48k"},
          {"MM_FIFO_SIZE", "256"},
          {"MM_RX_BUFS_GROW", "128"}};
}

absl::StatusOr<ucp_context_h> MakeContext(UcxWay way,
                                          const std::string& interface) {
  ucp_config_t* config = nullptr;
  PENSTOCK_RETURN_IF_ERROR(UcxStatus(ucp_config_read(nullptr, nullptr, &config),
                                     "reading UCX's settings"));
  ucs_status_t status = UCS_OK;
  for (const auto& [name, value] : SettingsOf(way, interface)) {
    if (status == UCS_OK) {
      status = ucp_config_modify(config, name, value.c_str());
    }
  }
  ucp_params_t params = {};
  params.field_mask = UCP_PARAM_FIELD_FEATURES;
  params.features = UCP_FEATURE_TAG | UCP_FEATURE_WAKEUP;
  ucp_context_h context = nullptr;
  if (status == UCS_OK) status = ucp_init(&params, config, &context);
  ucp_config_release(config);
  PENSTOCK_RETURN_IF_ERROR(UcxStatus(
      status, way == UcxWay::kTcp
                  ? absl::StrCat("TCP on network interface ", interface)
                  : "shared memory"));
  return context;
}

void OnEndpointFailure(void* failure, ucp_ep_h, ucs_status_t status) {
  *static_cast<ucs_status_t*>(failure) = status;
}

}  // namespace

absl::Status UcxStatus(ucs_status_t status, absl::string_view what) {
  if (status == UCS_OK) return absl::OkStatus();
  const std::string text =
      absl::StrCat(what, ": UCX says \"", ucs_status_string(status), "\"");
  switch (status) {
    case UCS_ERR_ENDPOINT_TIMEOUT:
    case UCS_ERR_CONNECTION_RESET:
    case UCS_ERR_NOT_CONNECTED:
    case UCS_ERR_REJECTED:
    case UCS_ERR_UNREACHABLE:
    case UCS_ERR_SHMEM_SEGMENT:
      return absl::UnavailableError(text);
    case UCS_ERR_NO_MEMORY:
    case UCS_ERR_NO_RESOURCE:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::StatusOr<std::unique_ptr<UcxWorker>> UcxWorker::Make(
    UcxWay way, const std::string& interface) {
  KeepUcxToItself();
  std::unique_ptr<UcxWorker> worker(new UcxWorker(way));
  PENSTOCK_ASSIGN_OR_RETURN(worker->context_, MakeContext(way, interface));
  ucp_worker_params_t params = {};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SINGLE;
  PENSTOCK_RETURN_IF_ERROR(
      UcxStatus(ucp_worker_create(worker->context_, &params, &worker->worker_),
                "making a UCX worker"));
  PENSTOCK_RETURN_IF_ERROR(
      UcxStatus(ucp_worker_get_efd(worker->worker_, &worker->event_fd_),
                "asking a UCX worker for its events"));
  return worker;
}

UcxWorker::~UcxWorker() {
  if (worker_ != nullptr) {
    CloseEndpoints(absl::ZeroDuration());
    ucp_worker_destroy(worker_);
  }
  if (context_ != nullptr) ucp_cleanup(context_);
}

absl::StatusOr<std::string> UcxWorker::Address() const {
  ucp_address_t* address = nullptr;
  size_t size_bytes = 0;
  PENSTOCK_RETURN_IF_ERROR(
      UcxStatus(ucp_worker_get_address(worker_, &address, &size_bytes),
                "asking a UCX worker for its address"));
  std::string bytes(reinterpret_cast<const char*>(address), size_bytes);
  ucp_worker_release_address(worker_, address);
  return bytes;
}

absl::StatusOr<ucp_ep_h> UcxWorker::Connect(const std::string& address,
                                            ucs_status_t* failure) {
  ucp_ep_params_t params = {};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS |
                      UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(address.data());
  params.err_mode = way_ == UcxWay::kTcp ? UCP_ERR_HANDLING_MODE_PEER
                                         : UCP_ERR_HANDLING_MODE_NONE;
  params.err_handler = {OnEndpointFailure, failure};
  ucp_ep_h endpoint = nullptr;
  PENSTOCK_RETURN_IF_ERROR(
      UcxStatus(ucp_ep_create(worker_, &params, &endpoint), "connecting"));
  endpoints_.push_back(endpoint);
  return endpoint;
}

void UcxWorker::CloseEndpoints(absl::Duration limit) {
  ucp_request_param_t params = {};
  if (limit <= absl::ZeroDuration()) {
    // Only the mode with error handling can close by force; in the other one
    // the end of the worker does it.
    if (way_ == UcxWay::kSharedMemory) return;
    params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    params.flags = UCP_EP_CLOSE_FLAG_FORCE;
  }
  std::vector<ucs_status_ptr_t> closing;
  for (const ucp_ep_h endpoint : std::exchange(endpoints_, {})) {
    const ucs_status_ptr_t request = ucp_ep_close_nbx(endpoint, &params);
    if (UCS_PTR_IS_PTR(request)) closing.push_back(request);
  }
  const int64_t until =
      MonotonicNanos() +
      std::max<int64_t>(absl::ToInt64Nanoseconds(limit), 5'000'000);
  while (!closing.empty() && MonotonicNanos() < until) {
    Progress();
    std::erase_if(closing, [](ucs_status_ptr_t request) {
      if (ucp_request_check_status(request) == UCS_INPROGRESS) return false;
      ucp_request_free(request);
      return true;
    });
  }
  // UCX insists that those which are not done are let go of.
  for (const ucs_status_ptr_t request : closing) ucp_request_free(request);
}

absl::StatusOr<bool> UcxWorker::Arm() const {
  const ucs_status_t status = ucp_worker_arm(worker_);
  if (status == UCS_ERR_BUSY) return false;
  PENSTOCK_RETURN_IF_ERROR(UcxStatus(status, "arming a UCX worker"));
  return true;
}

}  // namespace penstock
