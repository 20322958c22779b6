#ifndef PENSTOCK_STAGE_SERVER_ENGINE_NORM_AGREEMENT_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_NORM_AGREEMENT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "stage_server/engine/channels.h"
#include "stage_server/engine/gradient_norm.h"
#include "stage_server/transport/transport.h"

namespace penstock {

// How the ranks agree on the norm: each sends its layers' parts to rank 0,
// which adds all in layer order and sends the sum back, so that every rank has
// the same bits whatever the cut. A barrier.
//
// Used by one thread. After an error the transport may still have requests for
// its memory, so it must outlive the transport.
class NormAgreement {
 public:
  // `owned_layers`: index is the rank; the layers, ascending, that it sends
  // parts of.
  NormAgreement(RankId rank, std::vector<std::vector<int>> owned_layers,
                ChannelMap channels);

  // `parts` are this rank's, ascending by layer. The time spent waiting for
  // others is added to `*waited_nanos`.
  //   INTERNAL  parts of other layers than the plan's; else as the transport's
  //             PostSend, PostReceive and Wait.
  absl::StatusOr<GlobalNorm> Agree(int64_t step,
                                   absl::Span<const LayerSquares> parts,
                                   Transport& transport, absl::Time deadline,
                                   int64_t* waited_nanos);

 private:
  // Doubles travel as the integers with the same bits: the data plane has no
  // type for them.
  using Words = std::vector<int64_t>;

  absl::StatusOr<GlobalNorm> Lead(int64_t step,
                                  absl::Span<const LayerSquares> parts,
                                  Transport& transport, absl::Time deadline,
                                  int64_t* waited_nanos);
  absl::StatusOr<GlobalNorm> Follow(int64_t step,
                                    absl::Span<const LayerSquares> parts,
                                    Transport& transport, absl::Time deadline,
                                    int64_t* waited_nanos);

  const RankId rank_;
  const std::vector<std::vector<int>> owned_layers_;
  const ChannelMap channels_;
  // At rank 0: index is the rank that they came from.
  std::vector<Words> received_parts_;
  Words sent_parts_;
  Words answer_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_NORM_AGREEMENT_H_
