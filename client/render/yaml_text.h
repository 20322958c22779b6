#ifndef PENSTOCK_CLIENT_RENDER_YAML_TEXT_H_
#define PENSTOCK_CLIENT_RENDER_YAML_TEXT_H_

#include <string>

#include "nlohmann/json.hpp"

namespace penstock {

// `json` as block YAML in the same order, its last line ended. A text that
// YAML would read as something else ("12", "true", "") is quoted, so that both
// formats carry the same values. Pure.
std::string YamlText(const nlohmann::ordered_json& json);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_YAML_TEXT_H_
