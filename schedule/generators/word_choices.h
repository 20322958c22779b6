#ifndef PENSTOCK_SCHEDULE_GENERATORS_WORD_CHOICES_H_
#define PENSTOCK_SCHEDULE_GENERATORS_WORD_CHOICES_H_

#include <map>
#include <string>
#include <vector>

#include "schedule/generators/generator.h"

namespace penstock {

// For tests: every combination of the words that the generator's parameters may
// have; those with numbers are left out. At least one, which may be empty.
std::vector<std::map<std::string, std::string>> WordChoices(
    const GeneratorInfo& generator);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_WORD_CHOICES_H_
