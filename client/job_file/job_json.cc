#include "client/job_file/job_json.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/job_file/key_table.h"

namespace penstock {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::ordered_json;

ordered_json NamesToJson(const Message& message, const FieldDescriptor* field) {
  // Sorted: a proto map has no order of its own.
  std::map<std::string, std::string> sorted;
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, field, i);
    const auto text = [&entry](int number) {
      return entry.GetReflection()->GetString(
          entry, entry.GetDescriptor()->FindFieldByNumber(number));
    };
    sorted[text(1)] = text(2);
  }
  ordered_json names = ordered_json::object();
  for (const auto& [name, value] : sorted) names[name] = value;
  return names;
}

// One count alone, as it may be written.
ordered_json CountsToJson(const Message& message,
                          const FieldDescriptor* field) {
  ordered_json counts = ordered_json::array();
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    counts.push_back(reflection.GetRepeatedInt32(message, field, i));
  }
  return counts.size() == 1 ? counts[0] : counts;
}

ordered_json LayersToJson(const PartitionSpec& partition) {
  ordered_json stages = ordered_json::array();
  for (const StageLayers& stage : partition.explicit_layers()) {
    stages.push_back(
        std::vector<std::string>(stage.layers().begin(), stage.layers().end()));
  }
  return stages;
}

ordered_json ValueToJson(const JobKey& key, const Job& job) {
  const std::vector<std::string> names = absl::StrSplit(key.field, '.');
  // Emulated jobs have none unless they ask for it.
  if (names.front() == "checkpoint" && !job.has_checkpoint()) return nullptr;
  const Message* message = &job;
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    message = &message->GetReflection()->GetMessage(
        *message, message->GetDescriptor()->FindFieldByName(names[i]));
  }
  const FieldDescriptor* const field =
      message->GetDescriptor()->FindFieldByName(names.back());
  const auto& reflection = *message->GetReflection();
  if (key.type == KeyType::kNameMap) return NamesToJson(*message, field);
  if (key.type == KeyType::kCounts) return CountsToJson(*message, field);
  if (key.type == KeyType::kLayers) return LayersToJson(job.partition());
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const int32_t value = reflection.GetInt32(*message, field);
      if (value == 0 && !key.zero_word.empty()) return key.zero_word;
      return value;
    }
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(*message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(*message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(*message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(*message, field);
    default:
      return reflection.GetString(*message, field);
  }
}

bool IsNothing(const ordered_json& value) {
  if (value.is_null()) return true;
  if (value.is_string()) return value.get<std::string>().empty();
  return value.is_structured() && value.empty();
}

}  // namespace

ordered_json JobToJson(const Job& job) {
  ordered_json json = ordered_json::object();
  for (const JobKey& key : JobKeys()) {
    ordered_json value = ValueToJson(key, job);
    if (IsNothing(value)) continue;
    ordered_json* place = &json;
    for (const absl::string_view name : absl::StrSplit(key.path, '.')) {
      place = &(*place)[std::string(name)];
    }
    *place = std::move(value);
  }
  return json;
}

}  // namespace penstock
