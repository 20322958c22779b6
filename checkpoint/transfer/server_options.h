#ifndef PENSTOCK_CHECKPOINT_TRANSFER_SERVER_OPTIONS_H_
#define PENSTOCK_CHECKPOINT_TRANSFER_SERVER_OPTIONS_H_

#include "grpcpp/server_builder.h"

namespace penstock {

// What every gRPC server of ours is: alone on its port, and quick to notice
// that a peer is gone.
inline void SetServerOptions(int max_message_bytes,
                             grpc::ServerBuilder& builder) {
  constexpr int kKeepaliveMillis = 10'000;
  constexpr int kKeepaliveTimeoutMillis = 5'000;
  constexpr int kMinPingIntervalMillis = 5'000;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveTimeoutMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      kMinPingIntervalMillis);
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  builder.SetMaxSendMessageSize(max_message_bytes);
}

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_TRANSFER_SERVER_OPTIONS_H_
