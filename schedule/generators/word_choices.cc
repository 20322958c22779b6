#include "schedule/generators/word_choices.h"

#include <utility>

namespace penstock {

std::vector<std::map<std::string, std::string>> WordChoices(
    const GeneratorInfo& generator) {
  std::vector<std::map<std::string, std::string>> choices = {{}};
  for (const ParameterInfo& parameter : generator.parameters) {
    std::vector<std::map<std::string, std::string>> longer;
    for (const auto& choice : choices) {
      for (const std::string& value : parameter.values) {
        longer.push_back(choice);
        longer.back()[parameter.name] = value;
      }
    }
    if (!longer.empty()) choices = std::move(longer);
  }
  return choices;
}

}  // namespace penstock
