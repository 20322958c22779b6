#include "checkpoint/transfer/transfer_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/transfer/chunk.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace penstock {
namespace {

constexpr absl::Duration kFirstBackOff = absl::Milliseconds(50);
constexpr int kMaxDoublings = 5;
constexpr int kFirstReconnectMillis = 100;
constexpr int kMaxReconnectMillis = 1'000;
constexpr int kConnectMillis = 5'000;
constexpr int kKeepaliveMillis = 10'000;
constexpr int kKeepaliveTimeoutMillis = 5'000;

// Checkpoints are kept by the coordinator or a store, parts by stage servers.
std::shared_ptr<grpc::ChannelCredentials> CredentialsFor(
    const TransferClientOptions& options) {
  if (options.rank.has_value()) {
    return ChannelCredentialsOf(options.tls, {Role::kStageServer});
  }
  return ChannelCredentialsOf(options.tls, {Role::kCoordinator, Role::kStore});
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const TransferClientOptions& options) {
  grpc::ChannelArguments arguments;
  // Bulk has connections of its own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   kFirstReconnectMillis);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMillis);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMillis);
  arguments.SetMaxReceiveMessageSize(kMaxTransferMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxTransferMessageBytes);
  return grpc::CreateCustomChannel(options.address, CredentialsFor(options),
                                   arguments);
}

}  // namespace

bool IsWorthAnotherTry(const absl::Status& status, int tries_left) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
      return true;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return tries_left > 0;
    default:
      return false;
  }
}

TransferClient::TransferClient(TransferClientOptions options,
                               const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      channel_(MakeChannel(options_)),
      stub_(TransferService::NewStub(channel_)) {}

void TransferClient::Cancel(absl::Status why) {
  MutexLock lock(&mutex_);
  if (!cancelled_.ok()) return;
  cancelled_ = std::move(why);
  for (grpc::ClientContext* call : calls_) call->TryCancel();
  changed_.SignalAll();
}

void TransferClient::Add(grpc::ClientContext* context) {
  calls_.insert(context);
  if (!cancelled_.ok()) context->TryCancel();
}

void TransferClient::Remove(grpc::ClientContext* context) {
  calls_.erase(context);
}

void TransferClient::Add(AckRequester* upload) { uploads_.insert(upload); }

void TransferClient::Remove(AckRequester* upload) { uploads_.erase(upload); }

bool TransferClient::TakeBudget(int64_t size_bytes) {
  if (unacked_bytes_ > 0 &&
      unacked_bytes_ + size_bytes > options_.max_unacked_bytes) {
    for (AckRequester* upload : uploads_) upload->RequestAck();
    return false;
  }
  unacked_bytes_ += size_bytes;
  return true;
}

void TransferClient::GiveBudget(int64_t size_bytes) {
  unacked_bytes_ -= size_bytes;
  changed_.SignalAll();
}

void TransferClient::NoteProgress() {
  last_progress_ = Now();
  changed_.SignalAll();
}

absl::Time TransferClient::WaitLimit(absl::Time start) const {
  return std::max(start, last_progress_) + options_.patience;
}

absl::Status TransferClient::Gone(const absl::Status& last) const {
  return absl::UnavailableError(absl::StrCat(
      "the store at ", options_.address, " has not got on for ",
      absl::FormatDuration(options_.patience),
      last.ok() ? std::string() : absl::StrCat(": ", last.message())));
}

void TransferClient::BackOff(int attempt) {
  const absl::Time until =
      Now() + kFirstBackOff * (1 << std::min(attempt, kMaxDoublings));
  while (cancelled_.ok() && Now() < until) {
    changed_.WaitWithDeadline(&mutex_, until);
  }
}

}  // namespace penstock
