#include "tests/parity/real_process/training_json.h"

#include <nlohmann/json.hpp>

namespace penstock {

std::string TrainingJson(const std::vector<double>& losses,
                         const std::vector<double>& gradient_norms,
                         const std::string& weights_digest) {
  // nlohmann prints a double with as many digits as tell it from every other.
  return nlohmann::json({{"losses", losses},
                         {"gradient_norms", gradient_norms},
                         {"weights_digest", weights_digest}})
      .dump();
}

}  // namespace penstock
