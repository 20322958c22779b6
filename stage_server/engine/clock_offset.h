#ifndef PENSTOCK_STAGE_SERVER_ENGINE_CLOCK_OFFSET_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_CLOCK_OFFSET_H_

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "stage_server/engine/channels.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// What one exchange of times with rank 0 says: what to add to this rank's clock
// for rank 0's, wrong by at most half the round trip.
struct ClockSample {
  int64_t offset_nanos = 0;
  int64_t round_trip_nanos = 0;
};

// How far this rank's MonotonicNanos is from rank 0's, measured over the data
// plane: a rank sends, rank 0 notes when it received and when it answered, and
// the rank notes when the answer came (Mills, RFC 5905, section 8). Of the last
// `kKept` exchanges the one with the smallest round trip counts: in it nothing
// waited on its way, and no drift of the clocks is older than these.
//
// Used by one thread. After an error the transport may still have requests for
// its memory, so it must outlive the transport.
class ClockOffset {
 public:
  static constexpr size_t kKept = 16;

  // `channels` must have the agreement channels of `num_ranks` ranks.
  ClockOffset(RankId rank, int num_ranks, ChannelMap channels);

  // One exchange of every rank with rank 0; all call it at the same place of
  // the same step, best where they have just met. Rank 0 begins with another
  // rank each time, since the first does not wait for others' answers.
  //   Errors are those of PostSend, PostReceive and Wait.
  absl::Status Exchange(int64_t step, Transport& transport,
                        absl::Time deadline);

  // Zeros on rank 0, and before the first exchange.
  ClockSample best() const;
  // Not before the first exchange.
  bool is_known() const { return rank_ == RankId(0) || !samples_.empty(); }

  // Of the four times of an exchange: sent and came back by the one clock,
  // received and answered by the other.
  static ClockSample SampleOf(int64_t sent, int64_t received, int64_t answered,
                              int64_t came_back);

 private:
  // Received, answered. A question carries none.
  using Times = std::array<int64_t, 2>;

  absl::Status Answer(int64_t step, Transport& transport, absl::Time deadline);
  absl::Status Ask(int64_t step, Transport& transport, absl::Time deadline);

  const RankId rank_;
  const int num_ranks_;
  const ChannelMap channels_;
  // At rank 0: index is the rank.
  std::vector<Times> questions_;
  std::vector<Times> answers_;
  Times question_ = {};
  Times answer_ = {};
  int64_t num_exchanges_ = 0;
  std::deque<ClockSample> samples_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_CLOCK_OFFSET_H_
