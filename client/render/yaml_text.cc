#include "client/render/yaml_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "yaml-cpp/yaml.h"

namespace penstock {
namespace {

using nlohmann::ordered_json;

bool NeedsQuotes(const std::string& text) {
  double number = 0;
  const std::string lower = absl::AsciiStrToLower(text);
  return text.empty() || absl::SimpleAtod(text, &number) || lower == "true" ||
         lower == "false" || lower == "null" || lower == "yes" ||
         lower == "no" || lower == "on" || lower == "off" || lower == "~" ||
         absl::ascii_isdigit(text[0]);
}

void Emit(YAML::Emitter& out, const ordered_json& json) {
  if (json.is_object()) {
    if (json.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, value] : json.items()) {
      out << YAML::Key << key << YAML::Value;
      Emit(out, value);
    }
    out << YAML::EndMap;
  } else if (json.is_array()) {
    if (json.empty() || !json.front().is_object()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const ordered_json& value : json) Emit(out, value);
    out << YAML::EndSeq;
  } else if (json.is_string()) {
    const std::string& text = json.get_ref<const std::string&>();
    if (NeedsQuotes(text)) out << YAML::DoubleQuoted;
    out << text;
  } else if (json.is_null()) {
    out << YAML::LowerNull << YAML::Null;
  } else {
    // Numbers, true and false are spelt alike in both.
    out << json.dump();
  }
}

}  // namespace

std::string YamlText(const ordered_json& json) {
  YAML::Emitter out;
  Emit(out, json);
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace penstock
