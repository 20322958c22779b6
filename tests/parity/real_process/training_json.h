#ifndef PENSTOCK_TESTS_PARITY_REAL_PROCESS_TRAINING_JSON_H_
#define PENSTOCK_TESTS_PARITY_REAL_PROCESS_TRAINING_JSON_H_

#include <string>
#include <vector>

namespace penstock {

// What two runs of a job must agree on, as one line of JSON: `losses` and
// `gradient_norms` by step (none of a job that does not flush), with the digits
// that give the same double back, and `weights_digest`, 64 hexadecimal digits.
std::string TrainingJson(const std::vector<double>& losses,
                         const std::vector<double>& gradient_norms,
                         const std::string& weights_digest);

}  // namespace penstock

#endif  // PENSTOCK_TESTS_PARITY_REAL_PROCESS_TRAINING_JSON_H_
