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
// Used by one thread; the transport may be another with each call.
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
                                   int64_t* waited_nanos) const;

 private:
  absl::StatusOr<GlobalNorm> Lead(int64_t step,
                                  absl::Span<const LayerSquares> parts,
                                  Transport& transport, absl::Time deadline,
                                  int64_t* waited_nanos) const;
  absl::StatusOr<GlobalNorm> Follow(int64_t step,
                                    absl::Span<const LayerSquares> parts,
                                    Transport& transport, absl::Time deadline,
                                    int64_t* waited_nanos) const;

  const RankId rank_;
  const std::vector<std::vector<int>> owned_layers_;
  const ChannelMap channels_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_NORM_AGREEMENT_H_
