#ifndef PENSTOCK_STAGE_SERVER_ENGINE_NORM_AGREEMENT_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_NORM_AGREEMENT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "stage_server/engine/agreement.h"
#include "stage_server/engine/channels.h"
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
  // Index is the rank: the layers, ascending, that it sends parts of, and how
  // many places for losses it sends (all as many, or none).
  NormAgreement(RankId rank, std::vector<std::vector<int>> owned_layers,
                std::vector<int> loss_places, ChannelMap channels);

  // `parts` are this rank's. The time spent waiting for others is added to
  // `*waited_nanos`.
  //   INTERNAL  parts of other layers than the plan's; else as the transport's
  //             PostSend, PostReceive and Wait.
  absl::StatusOr<Agreement> Agree(int64_t step, const AgreementParts& parts,
                                  Transport& transport, absl::Time deadline,
                                  int64_t* waited_nanos);

 private:
  // Doubles travel as the integers with the same bits: the data plane has no
  // type for them.
  using Words = std::vector<int64_t>;

  // One rank's parts as they travel.
  static Words WordsOf(const AgreementParts& parts);
  AgreementParts PartsOf(int rank, const Words& words) const;

  absl::StatusOr<Agreement> Lead(int64_t step, const AgreementParts& parts,
                                 Transport& transport, absl::Time deadline,
                                 int64_t* waited_nanos);
  absl::StatusOr<Agreement> Follow(int64_t step, const AgreementParts& parts,
                                   Transport& transport, absl::Time deadline,
                                   int64_t* waited_nanos);

  const RankId rank_;
  const std::vector<std::vector<int>> owned_layers_;
  const std::vector<int> loss_places_;
  const ChannelMap channels_;
  // At rank 0: index is the rank that they came from.
  std::vector<Words> received_parts_;
  Words sent_parts_;
  Words answer_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_NORM_AGREEMENT_H_
