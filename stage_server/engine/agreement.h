#ifndef PENSTOCK_STAGE_SERVER_ENGINE_AGREEMENT_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_AGREEMENT_H_

#include <optional>
#include <vector>

#include "stage_server/engine/gradient_norm.h"

namespace penstock {

// What one rank brings to N.
struct AgreementParts {
  // Of the layers that it speaks for, ascending.
  std::vector<LayerSquares> squares;
  // By piece, where several ranks compute the loss: those computed here. Empty
  // where one rank has them all.
  std::vector<std::optional<double>> losses;
};

// What all ranks then know.
struct Agreement {
  GlobalNorm norm;
  // Mean over the pieces, added in their order; only where several ranks have
  // parts of it.
  std::optional<double> mean_loss;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_AGREEMENT_H_
