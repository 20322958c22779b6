#include "stage_server/engine/edge_wires.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

const ChannelId kValues(0);
const ChannelId kGradients(1);
const ChannelId kOther(2);

EdgeWires Wires(const std::string& compress, bool error_feedback = false,
                bool sends = true) {
  WireSpec spec;
  spec.set_compress(compress);
  spec.set_error_feedback(error_feedback);
  absl::StatusOr<EdgeWires> wires = EdgeWires::Make(spec);
  EXPECT_TRUE(wires.ok()) << wires.status();
  wires->AddChannel(kValues, Direction::kForward, sends);
  wires->AddChannel(kGradients, Direction::kBackward, sends);
  return *std::move(wires);
}

// What the other end gets of `tensor`.
at::Tensor Sent(EdgeWires& wires, ChannelId channel, const at::Tensor& tensor) {
  const at::Tensor wire = *wires.ToWire(channel, tensor);
  const at::Tensor got = at::empty(tensor.sizes(), tensor.options());
  const at::Tensor buffer = *wires.WireBuffer(channel, got);
  EXPECT_EQ(buffer.nbytes(), wire.nbytes());
  // As a transport would.
  buffer.copy_(wire);
  const absl::Status status = wires.FromWire(channel, buffer, got);
  EXPECT_TRUE(status.ok()) << status;
  return got;
}

TEST(EdgeWiresTest, WithoutCompressionTensorsGoAsTheyAre) {
  for (const char* none : {"", "none"}) {
    EdgeWires wires = Wires(none);
    EXPECT_FALSE(wires.enabled());
    const at::Tensor x = at::randn({3}, at::kFloat);
    EXPECT_TRUE(wires.ToWire(kValues, x)->is_same(x));
    EXPECT_TRUE(wires.WireBuffer(kValues, x)->is_same(x));
  }
}

TEST(EdgeWiresTest, EncodesActivationsAndGradientsOnly) {
  EdgeWires wires = Wires("bf16");
  const at::Tensor x = at::randn({64}, at::kFloat);
  EXPECT_EQ(wires.ToWire(kValues, x)->nbytes(), 2 * 64 + kWireHeadBytes);
  EXPECT_FALSE(at::equal(Sent(wires, kGradients, x), x));
  // A tied weight's channel is not among them.
  EXPECT_TRUE(wires.ToWire(kOther, x)->is_same(x));
  const at::Tensor tokens = at::arange(5, at::kLong);
  EXPECT_TRUE(at::equal(Sent(wires, kValues, tokens), tokens));
  EXPECT_TRUE(wires.ToWire(kValues, tokens)->is_same(tokens));
}

TEST(EdgeWiresTest, UnknownCompressionIsRefused) {
  WireSpec spec;
  spec.set_compress("fp4");
  const auto wires = EdgeWires::Make(spec);
  EXPECT_EQ(wires.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(wires.status().message(), HasSubstr("\"fp4\" is none of"));
}

TEST(EdgeWiresTest, ErrorFeedbackKeepsWhatManySmallGradientsAddUpTo) {
  // Beside a large one, so small that a message alone rounds it away.
  at::Tensor x = at::full({64}, 0.001f, at::kFloat);
  x[0] = 1000.0f;
  constexpr int kMessages = 400;
  for (const bool feedback : {false, true}) {
    EdgeWires wires = Wires("fp8_block", feedback);
    at::Tensor sum = at::zeros({64}, at::kFloat);
    for (int i = 0; i < kMessages; ++i) {
      sum = sum.add(Sent(wires, kGradients, x));
    }
    const float mean = sum[1].item<float>() / kMessages;
    if (feedback) {
      EXPECT_NEAR(mean, 0.001f, 0.00001f);
    } else {
      EXPECT_GT(std::abs(mean - 0.001f), 0.00001f);
    }
  }
}

TEST(EdgeWiresTest, ValuesHaveNoErrorFeedback) {
  EdgeWires wires = Wires("fp8_block", /*error_feedback=*/true);
  const at::Tensor x = at::randn({200}, at::kFloat);
  EXPECT_TRUE(at::equal(Sent(wires, kValues, x), Sent(wires, kValues, x)));
  EXPECT_FALSE(
      at::equal(Sent(wires, kGradients, x), Sent(wires, kGradients, x)));
}

TEST(EdgeWiresTest, AGradientThatIsNotFiniteLeavesNothingForTheNext) {
  EdgeWires wires = Wires("bf16", /*error_feedback=*/true);
  at::Tensor broken = at::randn({8}, at::kFloat);
  broken[3] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(Sent(wires, kGradients, broken).isfinite().all().item<bool>());
  const at::Tensor next = Sent(wires, kGradients, at::zeros({8}, at::kFloat));
  EXPECT_TRUE(next.isfinite().all().item<bool>());
  EXPECT_EQ(next[3].item<float>(), 0.0f);
}

TEST(EdgeWiresTest, AutoTellsTheReceiverBeforeItChanges) {
  const std::vector<ChannelSpec> channels = {
      {kValues, RankId(0), RankId(1), "x"},
      {kGradients, RankId(0), RankId(1), "y"}};
  auto transports = *ConnectInProcess(2, channels);
  const at::Tensor x = at::randn({1000}, at::kFloat);
  int64_t bytes[2][8];
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      EdgeWires wires = Wires("auto", false, /*sends=*/rank == 0);
      for (int step = 0; step < 8; ++step) {
        bytes[rank][step] =
            static_cast<int64_t>(wires.WireBuffer(kValues, x)->nbytes());
        // Waits as long as it computes, for the values alone.
        if (rank == 0) {
          wires.Sent(kValues, bytes[0][step], 4000,
                     1000 * bytes[0][step] / 4000);
          wires.Sent(kGradients, 4000, 4000, 0);
        }
        const absl::Status status = wires.EndStep(
            step + 1, 1000, *transports[rank], absl::Now() + absl::Seconds(10));
        ASSERT_TRUE(status.ok()) << status;
        EXPECT_EQ(wires.WireBuffer(kGradients, x)->nbytes(), 4000u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int step = 0; step < 8; ++step) {
    EXPECT_EQ(bytes[0][step], bytes[1][step]);
    EXPECT_EQ(bytes[0][step], step < WireChoice::kSteps
                                  ? 4000
                                  : EncodedBytes(WireType::kBfloat16, 1000));
  }
}

}  // namespace
}  // namespace penstock
