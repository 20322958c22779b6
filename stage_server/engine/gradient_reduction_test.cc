#include "stage_server/engine/gradient_reduction.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "stage_server/transport/in_process/in_process_transport.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// Elements of one.
constexpr int64_t kBucket = 1000;

// Stage 0 on `num_ranks` ranks, in this order of the placement, and stage 1 on
// the same.
Schedule SharedStages(const std::vector<int>& order) {
  Schedule schedule;
  schedule.ranks.resize(order.size());
  schedule.placement.resize(2);
  for (const int rank : order) {
    for (auto& holders : schedule.placement) holders.push_back(RankId(rank));
  }
  return schedule;
}

class GradientReductionTest : public ::testing::Test {
 protected:
  void Connect(const std::vector<int>& order) {
    const Schedule schedule = SharedStages(order);
    const ChannelMap channels = ChannelMap::Of(schedule);
    auto made =
        ConnectInProcess(static_cast<int>(order.size()), channels.channels());
    ASSERT_TRUE(made.ok()) << made.status();
    transports_ = *std::move(made);
    for (int rank = 0; rank < static_cast<int>(order.size()); ++rank) {
      reductions_.push_back(std::make_unique<GradientReduction>(
          RankId(rank), schedule.placement, channels, 4 * kBucket));
    }
  }

  int num_ranks() const { return static_cast<int>(transports_.size()); }

  absl::Status Start(int rank, StageId stage,
                     const std::vector<at::Tensor>& gradients) {
    return reductions_[rank]->Start(1, stage, gradients, *transports_[rank]);
  }

  absl::Status Finish(int rank) {
    return reductions_[rank]->Finish(*transports_[rank],
                                     SystemClock().Now() + absl::Seconds(20));
  }

  // Each rank's `Finish` on a thread of its own.
  void FinishAll(std::vector<absl::Status>* statuses) {
    statuses->resize(num_ranks());
    std::vector<std::thread> threads;
    for (int rank = 0; rank < num_ranks(); ++rank) {
      if (transports_[rank] == nullptr) continue;
      threads.emplace_back([&, rank] { (*statuses)[rank] = Finish(rank); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  // Before the transports, which may still read them.
  std::vector<std::vector<at::Tensor>> gradients_;
  std::vector<std::unique_ptr<GradientReduction>> reductions_;
  std::vector<std::unique_ptr<Transport>> transports_;
};

TEST_F(GradientReductionTest, SumsInTheOrderOfThePlacementWhateverTheSize) {
  for (const std::vector<int>& order :
       {std::vector<int>{0, 1}, {0, 1, 2}, {2, 0, 1}, {3, 1, 0, 2}}) {
    transports_.clear();
    reductions_.clear();
    Connect(order);
    // Around the sizes of a share and of the window of buckets, as several
    // tensors of one reduction.
    const std::vector<int64_t> sizes = {
        1, 15, 100, kBucket - 1, kBucket + 7, 6 * kBucket + 3};
    gradients_.assign(order.size(), {});
    for (std::vector<at::Tensor>& own : gradients_) {
      for (const int64_t size : sizes) own.push_back(at::randn({size}));
    }
    std::vector<at::Tensor> want;
    for (size_t i = 0; i < sizes.size(); ++i) {
      at::Tensor sum = gradients_[order[0]][i];
      for (size_t place = 1; place < order.size(); ++place) {
        sum = sum.add(gradients_[order[place]][i]);
      }
      want.push_back(sum);
    }
    for (int rank = 0; rank < num_ranks(); ++rank) {
      ASSERT_TRUE(Start(rank, StageId(0), gradients_[rank]).ok());
    }
    std::vector<absl::Status> statuses;
    FinishAll(&statuses);
    for (int rank = 0; rank < num_ranks(); ++rank) {
      ASSERT_TRUE(statuses[rank].ok()) << statuses[rank];
      EXPECT_FALSE(reductions_[rank]->is_active());
      for (size_t i = 0; i < sizes.size(); ++i) {
        EXPECT_TRUE(at::equal(gradients_[rank][i], want[i]))
            << order.size() << " ranks, size " << sizes[i];
      }
    }
  }
}

TEST_F(GradientReductionTest, PollingAloneBringsItToItsEnd) {
  Connect({0, 1, 2});
  gradients_.assign(3, {at::randn({5 * kBucket})});
  for (int rank = 0; rank < 3; ++rank) {
    gradients_[rank][0] = at::randn({5 * kBucket});
    ASSERT_TRUE(Start(rank, StageId(0), gradients_[rank]).ok());
  }
  int polls = 0;
  while (reductions_[0]->is_active() || reductions_[1]->is_active() ||
         reductions_[2]->is_active()) {
    for (int rank = 0; rank < 3; ++rank) {
      ASSERT_TRUE(reductions_[rank]->Poll(*transports_[rank]).ok());
    }
    ASSERT_LT(++polls, 100);
  }
  EXPECT_TRUE(at::equal(gradients_[0][0], gradients_[2][0]));
}

// The second one's gradients are whole before the first is summed, as where an
// update waits for replicas while the next one's backwards run.
TEST_F(GradientReductionTest, OfOneStageGoOneAfterTheOther) {
  Connect({0, 1, 2});
  std::vector<at::Tensor> sums(2, at::zeros({6 * kBucket}));
  for (int rank = 0; rank < 3; ++rank) {
    gradients_.emplace_back();
    for (at::Tensor& sum : sums) {
      gradients_[rank].push_back(at::randn({6 * kBucket}));
      sum = rank == 0 ? gradients_[rank].back()
                      : sum.add(gradients_[rank].back());
    }
  }
  for (int rank = 0; rank < 3; ++rank) {
    for (int64_t number = 1; number <= 2; ++number) {
      ASSERT_TRUE(reductions_[rank]
                      ->Start(number, StageId(0),
                              {gradients_[rank][number - 1]},
                              *transports_[rank])
                      .ok());
    }
  }
  std::vector<std::thread> threads;
  std::vector<absl::Status> statuses(3);
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      for (int64_t number = 1; statuses[rank].ok() && number <= 2; ++number) {
        statuses[rank] = reductions_[rank]->FinishOne(
            number, StageId(0), *transports_[rank],
            SystemClock().Now() + absl::Seconds(20));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int rank = 0; rank < 3; ++rank) {
    ASSERT_TRUE(statuses[rank].ok()) << statuses[rank];
    EXPECT_FALSE(reductions_[rank]->is_active());
    for (size_t i = 0; i < sums.size(); ++i) {
      EXPECT_TRUE(at::equal(gradients_[rank][i], sums[i]));
    }
  }
}

TEST_F(GradientReductionTest, OneIsDoneWhileAnotherStageWaits) {
  Connect({0, 1});
  gradients_ = {{at::randn({100}), at::randn({100})},
                {at::randn({100}), at::randn({100})}};
  const at::Tensor want = gradients_[0][0].add(gradients_[1][0]);
  // Rank 1 has not come to stage 1 yet.
  ASSERT_TRUE(Start(0, StageId(1), {gradients_[0][1]}).ok());
  ASSERT_TRUE(Start(0, StageId(0), {gradients_[0][0]}).ok());
  ASSERT_TRUE(Start(1, StageId(0), {gradients_[1][0]}).ok());
  const auto finish = [&](int rank) {
    return reductions_[rank]->FinishOne(
        1, StageId(0), *transports_[rank],
        SystemClock().Now() + absl::Seconds(20));
  };
  absl::Status of_other;
  std::thread other([&] { of_other = finish(1); });
  EXPECT_TRUE(finish(0).ok());
  other.join();
  EXPECT_TRUE(of_other.ok()) << of_other;
  EXPECT_TRUE(at::equal(gradients_[0][0], want));
  EXPECT_TRUE(reductions_[0]->is_active());
}

TEST_F(GradientReductionTest, StagesMayStartInAnyOrderOnEachRank) {
  Connect({0, 1});
  gradients_ = {{at::randn({3 * kBucket}), at::randn({100})},
                {at::randn({3 * kBucket}), at::randn({100})}};
  const at::Tensor want = gradients_[0][0].add(gradients_[1][0]);
  ASSERT_TRUE(Start(0, StageId(0), {gradients_[0][0]}).ok());
  ASSERT_TRUE(Start(0, StageId(1), {gradients_[0][1]}).ok());
  ASSERT_TRUE(Start(1, StageId(1), {gradients_[1][1]}).ok());
  ASSERT_TRUE(Start(1, StageId(0), {gradients_[1][0]}).ok());
  std::vector<absl::Status> statuses;
  FinishAll(&statuses);
  EXPECT_TRUE(statuses[0].ok() && statuses[1].ok());
  EXPECT_TRUE(at::equal(gradients_[0][0], want));
  EXPECT_TRUE(at::equal(gradients_[1][1], gradients_[0][1]));
}

// As when its process is killed: all others talk to it, so all name it.
TEST_F(GradientReductionTest, EveryRankNamesOneThatDiesInTheMiddle) {
  Connect({0, 1, 2, 3});
  for (int rank = 0; rank < 4; ++rank) {
    gradients_.push_back({at::zeros({8 * kBucket})});
    ASSERT_TRUE(Start(rank, StageId(0), gradients_[rank]).ok());
  }
  // A few buckets go through; the others need rank 2.
  for (int rank = 0; rank < 4; ++rank) {
    ASSERT_TRUE(reductions_[rank]->Poll(*transports_[rank]).ok());
  }
  ASSERT_TRUE(reductions_[2]->is_active());
  transports_[2].reset();
  std::vector<absl::Status> statuses;
  FinishAll(&statuses);
  for (const int rank : {0, 1, 3}) {
    EXPECT_TRUE(absl::IsUnavailable(statuses[rank])) << statuses[rank];
    EXPECT_THAT(std::string(statuses[rank].message()), HasSubstr("rank 2"))
        << "rank " << rank;
  }
}

TEST_F(GradientReductionTest, OneThatNeverComesIsNamedAtTheDeadline) {
  Connect({0, 1, 2});
  gradients_.assign(3, {at::zeros({100})});
  ASSERT_TRUE(Start(0, StageId(0), gradients_[0]).ok());
  const absl::Status status =
      reductions_[0]->Finish(*transports_[0], SystemClock().Now());
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("gradients of stage 0 1>0"));
}

}  // namespace
}  // namespace penstock
