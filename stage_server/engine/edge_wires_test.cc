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
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "stage_server/engine/clock_offset.h"
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
  wires->AddChannel(kValues, kGradients, Direction::kForward, sends);
  wires->AddChannel(kGradients, kValues, Direction::kBackward, !sends);
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

// Two ranks that train for some steps under auto: rank 0 sends values to rank 1
// and gets gradients. The way of a value takes `value_nanos`, the gradients
// none.
class AutoPair {
 public:
  static constexpr int kSteps = 10;
  static constexpr int64_t kCompute = 1'000'000;
  static constexpr int64_t kPlainBytes = 4000;
  // By which rank 1's clock is behind.
  static constexpr int64_t kBehind = 50 * kCompute;

  struct Bytes {
    // On the wire, by step.
    std::vector<int64_t> values;
    std::vector<int64_t> gradients;
  };

  static std::vector<Bytes> Train(int64_t value_nanos, bool has_clock) {
    auto transports =
        *ConnectInProcess(2, {{kValues, RankId(0), RankId(1), ""},
                              {kGradients, RankId(1), RankId(0), ""}});
    std::vector<Bytes> bytes(2);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        RunRank(rank, value_nanos, has_clock, *transports[rank], bytes[rank]);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return bytes;
  }

 private:
  static void RunRank(int rank, int64_t value_nanos, bool has_clock,
                      Transport& transport, Bytes& bytes) {
    EdgeWires wires = Wires("auto", false, /*sends=*/rank == 0);
    const at::Tensor x = at::zeros({kPlainBytes / 4}, at::kFloat);
    const int64_t offset = rank == 0 ? 0 : kBehind;
    for (int step = 1; step <= kSteps; ++step) {
      const auto values =
          static_cast<int64_t>(wires.WireBuffer(kValues, x)->nbytes());
      const auto gradients =
          static_cast<int64_t>(wires.WireBuffer(kGradients, x)->nbytes());
      bytes.values.push_back(values);
      bytes.gradients.push_back(gradients);
      const int64_t now = step * 100 * kCompute - offset;
      if (rank == 0) {
        wires.Sent(kValues, now);
        wires.Received(kGradients, gradients, kPlainBytes, now, now + kCompute);
      } else {
        wires.Received(kValues, values, kPlainBytes, now,
                       now + value_nanos * values / kPlainBytes);
        wires.Sent(kGradients, now + kCompute);
      }
      std::optional<ClockSample> clock;
      if (has_clock) clock = ClockSample{offset, 0};
      const absl::Status status = wires.EndStep(
          step, kCompute, clock, transport, absl::Now() + absl::Seconds(10));
      ASSERT_TRUE(status.ok()) << status;
    }
  }
};

TEST(EdgeWiresTest, AutoCompressesWhatTheReceiverWaitsForAndTellsTheSender) {
  const auto bytes = AutoPair::Train(AutoPair::kCompute, /*has_clock=*/true);
  EXPECT_EQ(bytes[0].values, bytes[1].values);
  EXPECT_EQ(bytes[0].gradients, bytes[1].gradients);
  for (int i = 0; i < AutoPair::kSteps; ++i) {
    EXPECT_EQ(bytes[0].gradients[i], AutoPair::kPlainBytes);
    // Told at the end of the step after the last that it takes.
    EXPECT_EQ(bytes[0].values[i], i <= WireChoice::kSteps
                                      ? AutoPair::kPlainBytes
                                      : EncodedBytes(WireType::kBfloat16,
                                                     AutoPair::kPlainBytes / 4))
        << i;
  }
}

TEST(EdgeWiresTest, AutoLeavesAFastLinkAlone) {
  const auto bytes =
      AutoPair::Train(AutoPair::kCompute / 20, /*has_clock=*/true);
  EXPECT_THAT(bytes[1].values, testing::Each(AutoPair::kPlainBytes));
}

TEST(EdgeWiresTest, AutoWithoutAClockChangesNothing) {
  const auto bytes = AutoPair::Train(AutoPair::kCompute, /*has_clock=*/false);
  EXPECT_THAT(bytes[1].values, testing::Each(AutoPair::kPlainBytes));
}

TEST(EdgeWiresTest, AutoLeavesAChannelWithoutOneBackAlone) {
  WireSpec spec;
  spec.set_compress("auto");
  EdgeWires wires = *EdgeWires::Make(spec);
  wires.AddChannel(kValues, kGradients, Direction::kForward, /*sends=*/true);
  auto transports = *ConnectInProcess(1, std::vector<ChannelSpec>());
  wires.Sent(kValues, 5);
  EXPECT_TRUE(wires
                  .EndStep(1, 1000, ClockSample(), *transports[0],
                           absl::Now() + absl::Seconds(10))
                  .ok());
  const at::Tensor x = at::zeros({10}, at::kFloat);
  EXPECT_TRUE(wires.ToWire(kValues, x)->is_same(x));
}

}  // namespace
}  // namespace penstock
