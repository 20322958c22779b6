#include "client/job_file/job_file.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "client/job_file/given_values.h"
#include "client/job_file/key_table.h"
#include "client/schedules/costs.h"
#include "schedule/generators/registry.h"
#include "schedule/generators/weight_policies.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// Job and plan go in messages of at most 4 MiB.
constexpr size_t kMaxScheduleBytes = 1 << 20;

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The message and field that `key` writes.
struct Target {
  Message* message = nullptr;
  const FieldDescriptor* field = nullptr;
  const Reflection& reflection() const { return *message->GetReflection(); }
};

Target TargetOf(const JobKey& key, Job& job) {
  Target target{&job, nullptr};
  for (const absl::string_view name : absl::StrSplit(key.field, '.')) {
    if (target.field != nullptr) {
      target.message =
          target.reflection().MutableMessage(target.message, target.field);
    }
    target.field =
        target.message->GetDescriptor()->FindFieldByName(std::string(name));
  }
  return target;
}

std::string Got(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return "a mapping";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Scalar:
      return absl::StrCat(node.Tag() == "!" ? "the quoted text " : "", "\"",
                          node.Scalar(), "\"");
    default:
      return "no value";
  }
}

// What to say of a number above bounds that `Wanted` leaves out because nobody
// comes near them; empty for everything else.
std::string TooLarge(const JobKey& key, const std::string& text) {
  const bool all_digits =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return absl::ascii_isdigit(c);
      });
  double value = 0;
  if (key.type != KeyType::kInteger || !all_digits ||
      !absl::SimpleAtod(text, &value)) {
    return "";
  }
  if (key.below.has_value() && value >= *key.below) {
    return absl::StrCat("; it must be less than ",
                        absl::StrFormat("%.0f", *key.below));
  }
  const bool above = !key.minimum.has_value() || value > *key.minimum;
  return above ? "; it is too large" : "";
}

bool IsValidName(absl::string_view name) {
  return !name.empty() && name.size() <= 63 && absl::ascii_isalnum(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

std::string Absolute(const std::string& path, const std::string& folder) {
  const std::filesystem::path given(path);
  if (path.empty() || given.is_absolute()) return path;
  return (std::filesystem::path(folder) / given).lexically_normal().string();
}

// Turns given values into fields of a Job and keeps the problems.
class Assembler {
 public:
  Assembler(const JobFileSource& source, GivenValues values)
      : source_(source), values_(std::move(values)) {}

  void SetAll() {
    for (const JobKey& key : JobKeys()) {
      if (key.type == KeyType::kNameMap) SetNames(key);
      const auto given = values_.by_path.find(key.path);
      if (given != values_.by_path.end()) {
        Set(key, given->second);
      } else if (!key.default_value.has_value()) {
        ReportMissing(key);
      } else if (!key.default_value->empty()) {
        Set(key, {YAML::Load(*key.default_value), "default", false});
      }
    }
  }

  bool WasGiven(const std::string& path) const {
    return values_.by_path.contains(path);
  }
  bool WasOverridden(const std::string& path) const {
    const auto given = values_.by_path.find(path);
    return given != values_.by_path.end() && given->second.from_override;
  }
  // Where `path` was given, or the file as a whole.
  std::string Where(const std::string& path) const {
    const auto given = values_.by_path.find(path);
    return given == values_.by_path.end() ? source_.path : given->second.where;
  }
  void Problem(const std::string& where, const std::string& what) {
    values_.problems.push_back(absl::StrCat(where, ": ", what));
  }
  void ReportMissing(const JobKey& key) {
    Problem(source_.path,
            absl::StrCat(key.path, " is missing; wanted ", Wanted(key),
                         ", for example `", key.path, ": ", key.example, "`"));
  }
  const std::vector<std::string>& problems() const { return values_.problems; }
  Job& job() { return job_; }

 private:
  void Set(const JobKey& key, const GivenValue& given) {
    bool fits = false;
    switch (key.type) {
      case KeyType::kText:
      case KeyType::kPath:
        fits = SetText(key, given);
        break;
      case KeyType::kInteger:
        fits = SetInteger(key, given);
        break;
      case KeyType::kNumber:
        fits = SetNumber(key, given);
        break;
      case KeyType::kNameMap:
        // Its names are values of their own; an empty mapping is left.
        fits = given.node.IsNull() || given.node.IsMap();
        break;
      case KeyType::kCounts:
        fits = SetCounts(key, given);
        break;
      case KeyType::kLayers:
        fits = SetLayers(key, given);
        break;
    }
    if (fits) return;
    std::string advice;
    if (given.node.IsScalar() && !key.choices.empty()) {
      advice = DidYouMean(given.node.Scalar(), key.choices);
    } else if (given.node.IsScalar() && given.node.Tag() == "!") {
      advice = "; remove the quotes";
    } else if (given.node.IsScalar()) {
      advice = TooLarge(key, given.node.Scalar());
    }
    Problem(given.where, absl::StrCat(key.path, " wants ", Wanted(key),
                                      ", got ", Got(given.node), advice));
  }

  bool SetText(const JobKey& key, const GivenValue& given) {
    if (!given.node.IsScalar()) return false;
    std::string text = given.node.Scalar();
    if (!key.choices.empty() &&
        std::find(key.choices.begin(), key.choices.end(), text) ==
            key.choices.end()) {
      return false;
    }
    if (key.type == KeyType::kPath) {
      text = Absolute(
          text, given.from_override ? source_.working_folder : source_.folder);
    }
    const Target target = TargetOf(key, job_);
    if (target.field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
      // One of the key's two choices, as checked above.
      target.reflection().SetBool(target.message, target.field, text == "true");
      return true;
    }
    target.reflection().SetString(target.message, target.field, text);
    return true;
  }

  bool SetInteger(const JobKey& key, const GivenValue& given) {
    if (!given.node.IsScalar()) return false;
    const std::string& text = given.node.Scalar();
    const Target target = TargetOf(key, job_);
    if (!key.zero_word.empty() && text == key.zero_word) {
      return Store(target, 0);
    }
    if (given.node.Tag() == "!") return false;
    if (target.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
      uint64_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return false;
      target.reflection().SetUInt64(target.message, target.field, value);
      return true;
    }
    int64_t value = 0;
    if (!absl::SimpleAtoi(text, &value)) return false;
    return InRange(key, static_cast<double>(value)) && Store(target, value);
  }

  static bool Store(const Target& target, int64_t value) {
    if (target.field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      target.reflection().SetInt64(target.message, target.field, value);
      return true;
    }
    if (value > std::numeric_limits<int32_t>::max()) return false;
    target.reflection().SetInt32(target.message, target.field,
                                 static_cast<int32_t>(value));
    return true;
  }

  bool SetNumber(const JobKey& key, const GivenValue& given) {
    double value = 0;
    if (!given.node.IsScalar() || given.node.Tag() == "!" ||
        !absl::SimpleAtod(given.node.Scalar(), &value) ||
        !std::isfinite(value) || !InRange(key, value)) {
      return false;
    }
    const Target target = TargetOf(key, job_);
    target.reflection().SetDouble(target.message, target.field, value);
    return true;
  }

  static bool InRange(const JobKey& key, double value) {
    if (key.minimum.has_value() && value < *key.minimum) return false;
    if (key.above_minimum && value == *key.minimum) return false;
    return !key.below.has_value() || value < *key.below;
  }

  // The names of mapping `key` that were given, with their values as text.
  void SetNames(const JobKey& key) {
    const std::string prefix = absl::StrCat(key.path, ".");
    const Target target = TargetOf(key, job_);
    for (const auto& [path, given] : values_.by_path) {
      if (!absl::StartsWith(path, prefix)) continue;
      if (!given.node.IsScalar()) {
        Problem(given.where, absl::StrCat(path, " wants a number or text, got ",
                                          Got(given.node)));
        continue;
      }
      // A map field is a repeated field of entries with key 1 and value 2.
      Message* const entry =
          target.reflection().AddMessage(target.message, target.field);
      const auto set = [entry](int number, const std::string& value) {
        entry->GetReflection()->SetString(
            entry, entry->GetDescriptor()->FindFieldByNumber(number), value);
      };
      set(1, path.substr(prefix.size()));
      set(2, given.node.Scalar());
    }
  }

  bool SetCounts(const JobKey& key, const GivenValue& given) {
    const bool is_list = given.node.IsSequence() && given.node.size() > 0;
    if (!is_list && !given.node.IsScalar()) return false;
    const Target target = TargetOf(key, job_);
    for (size_t i = 0; i < (is_list ? given.node.size() : 1); ++i) {
      const YAML::Node count = is_list ? given.node[i] : given.node;
      int32_t value = 0;
      if (!count.IsScalar() || count.Tag() == "!" ||
          !absl::SimpleAtoi(count.Scalar(), &value) || !InRange(key, value)) {
        return false;
      }
      target.reflection().AddInt32(target.message, target.field, value);
    }
    return true;
  }

  bool SetLayers(const JobKey& key, const GivenValue& given) {
    if (!given.node.IsSequence()) return false;
    for (const YAML::Node& stage : given.node) {
      if (!stage.IsSequence() || stage.size() == 0) return false;
      auto* const layers = job_.mutable_partition()->add_explicit_layers();
      for (const YAML::Node& layer : stage) {
        if (!layer.IsScalar()) return false;
        layers->add_layers(layer.Scalar());
      }
    }
    return true;
  }

  const JobFileSource& source_;
  GivenValues values_;
  Job job_;
};

void FillName(const JobFileSource& source, Assembler& assembler) {
  Job& job = assembler.job();
  if (!assembler.WasGiven("name")) {
    job.set_name(std::filesystem::path(source.path).stem().string());
  }
  if (!IsValidName(job.name())) {
    assembler.Problem(
        assembler.Where("name"),
        absl::StrCat("name wants letters, digits, '.', '_' and '-', at most "
                     "63, the first a letter or digit; got \"",
                     job.name(), "\"",
                     assembler.WasGiven("name")
                         ? ""
                         : " from the file's name; give --name"));
  }
}

// Of steps of several lengths: `data.sequence_length` is the longest.
void CheckSequenceLengths(const PresetInfo& preset, Assembler& assembler) {
  DataSpec& data = *assembler.job().mutable_data();
  const std::string lengths = "data.sequence_lengths";
  if (preset.data_kind != "tokens") {
    assembler.Problem(
        assembler.Where(lengths),
        absl::StrCat("model ", preset.name, " reads ", preset.data_kind,
                     ", and only tokens have steps of several lengths; leave ",
                     lengths, " out"));
    return;
  }
  const int longest = *std::max_element(data.sequence_lengths().begin(),
                                        data.sequence_lengths().end());
  if (assembler.WasGiven("data.sequence_length") &&
      data.sequence_length() != longest) {
    assembler.Problem(
        assembler.Where(lengths),
        absl::StrCat("data.sequence_length is ", data.sequence_length(),
                     ", and the longest of ", lengths, " is ", longest,
                     "; leave one of them out"));
    return;
  }
  data.set_sequence_length(longest);
}

// Fills in what the model says of its data.
void CheckData(const PresetInfo& preset, Assembler& assembler) {
  DataSpec& data = *assembler.job().mutable_data();
  if (data.kind().empty()) data.set_kind(preset.data_kind);
  if (data.kind() != preset.data_kind) {
    assembler.Problem(
        assembler.Where("data.kind"),
        absl::StrCat("model ", preset.name, " reads ", preset.data_kind,
                     ", not ", data.kind(), "; data.kind may be left out"));
    return;
  }
  const bool reads_file = preset.data_kind == "tokens";
  if (reads_file && !assembler.WasGiven("data.tokens")) {
    assembler.ReportMissing(*FindJobKey("data.tokens"));
  } else if (!reads_file && assembler.WasGiven("data.tokens")) {
    assembler.Problem(
        assembler.Where("data.tokens"),
        absl::StrCat("model ", preset.name, " reads ", preset.data_kind,
                     ", which are made up; leave data.tokens "
                     "out"));
  }
  const std::string length = "data.sequence_length";
  if (!data.sequence_lengths().empty()) {
    CheckSequenceLengths(preset, assembler);
  } else if (!assembler.WasGiven(length)) {
    data.set_sequence_length(preset.default_sequence_length);
  } else if (preset.data_kind == "images" && data.sequence_length() != 1) {
    assembler.Problem(assembler.Where(length),
                      absl::StrCat("model ", preset.name,
                                   " reads images, which have no "
                                   "sequence; leave ",
                                   length, " out"));
  }
}

// Emulated devices stand for the model and its data.
void CheckNoModel(Assembler& assembler) {
  for (const absl::string_view section : {"model", "data"}) {
    for (const std::string& name : NamesInSection(section)) {
      const std::string path = absl::StrCat(section, ".", name);
      const bool has_overrides = path == "model.overrides" &&
                                 !assembler.job().model().overrides().empty();
      if (!assembler.WasGiven(path) && !has_overrides) continue;
      assembler.Problem(assembler.Where(path),
                        absl::StrCat("emulate stands for a model and its data; "
                                     "leave ",
                                     path, " or emulate out"));
    }
  }
}

void CheckModel(const std::vector<PresetInfo>& presets, Assembler& assembler) {
  Job& job = assembler.job();
  if (job.has_emulate()) return CheckNoModel(assembler);
  const std::string& name = job.model().preset();
  if (name.empty()) return;
  std::vector<std::string> names;
  const PresetInfo* preset = nullptr;
  for (const PresetInfo& candidate : presets) {
    names.push_back(candidate.name);
    if (candidate.name == name) preset = &candidate;
  }
  if (preset == nullptr) {
    assembler.Problem(
        assembler.Where("model.preset"),
        absl::StrCat("unknown model \"", name, "\"; wanted one of ",
                     absl::StrJoin(names, ", "), DidYouMean(name, names)));
    return;
  }
  std::vector<std::string> attributes;
  for (const auto& [attribute, unused] : preset->defaults) {
    attributes.push_back(attribute);
  }
  for (const auto& [attribute, unused] : job.model().overrides()) {
    if (preset->defaults.contains(attribute)) continue;
    const std::string path = absl::StrCat("model.overrides.", attribute);
    assembler.Problem(
        assembler.Where(path),
        absl::StrCat("model ", name, " has no number \"", attribute,
                     "\"; it has ", absl::StrJoin(attributes, ", "),
                     DidYouMean(attribute, attributes)));
  }
  CheckData(*preset, assembler);
}

std::vector<int> Divisors(int number) {
  std::vector<int> divisors;
  for (int d = 1; d <= number && divisors.size() < 64; ++d) {
    if (number % d == 0) divisors.push_back(d);
  }
  return divisors;
}

// What a batch is where nothing is trained on.
void FillEmulatedBatch(Assembler& assembler) {
  Job& job = assembler.job();
  if (!job.has_emulate()) return;
  constexpr int kPerStage = 4;
  if (!assembler.WasGiven("schedule.microbatches")) {
    const PartitionSpec& partition = job.partition();
    job.mutable_schedule()->set_microbatches(
        kPerStage * std::max({1, partition.stages(), partition.ranks(),
                              partition.explicit_layers_size()}));
  }
  if (!assembler.WasGiven("batch_size")) {
    job.set_batch_size(job.schedule().microbatches());
  }
  // State that nobody has trained, and that may be of any size.
  const std::vector<JobKey>& keys = JobKeys();
  const bool asks_for_checkpoints =
      std::any_of(keys.begin(), keys.end(), [&](const JobKey& key) {
        return absl::StartsWith(key.path, "checkpoint.") &&
               assembler.WasGiven(key.path);
      });
  if (!asks_for_checkpoints) job.clear_checkpoint();
}

void CheckBatch(Assembler& assembler) {
  const Job& job = assembler.job();
  const int batch = job.batch_size();
  const int pieces = job.schedule().microbatches();
  if (batch < 1 || pieces < 1 || batch % pieces == 0) return;
  const bool pieces_given = assembler.WasGiven("schedule.microbatches");
  const int below = batch / pieces * pieces;
  const std::string batches = below == 0
                                  ? absl::StrCat(below + pieces)
                                  : absl::StrCat(below, " or ", below + pieces);
  assembler.Problem(
      assembler.Where(pieces_given ? "schedule.microbatches" : "batch_size"),
      absl::StrCat("batch_size ", batch, " does not divide into ", pieces,
                   " microbatches; with batch_size ", batch,
                   " microbatches of ", absl::StrJoin(Divisors(batch), ", "),
                   " would do, or with ", pieces, " microbatches batch_size ",
                   batches));
}

// Of ranks and stages, where one is not given, what the schedule makes of the
// other; 0 for what a schedule file says, which is not read here. A schedule
// that there is not is the coordinator's to refuse.
void CountRanksOrStages(Assembler& assembler) {
  const ScheduleSpec& schedule = assembler.job().schedule();
  PartitionSpec& partition = *assembler.job().mutable_partition();
  if (!schedule.file().empty()) {
    if (!assembler.WasGiven("partition.stages") &&
        partition.explicit_layers_size() == 0) {
      partition.set_stages(0);
    }
    return;
  }
  GeneratorRequest request;
  request.num_microbatches = schedule.microbatches();
  request.parameters = {schedule.parameters().begin(),
                        schedule.parameters().end()};
  if (!assembler.WasGiven("partition.ranks")) {
    request.num_stages = partition.stages();
    partition.set_ranks(CountRanks(schedule.name(), request).value_or(0));
  } else if (!assembler.WasGiven("partition.stages") &&
             partition.explicit_layers_size() == 0) {
    request.num_ranks = partition.ranks();
    partition.set_stages(
        CountStages(schedule.name(), request).value_or(partition.ranks()));
  }
}

// A schedule is named or is a file. Of an override and the file under it, the
// override says which.
void CheckSchedule(Assembler& assembler) {
  ScheduleSpec& schedule = *assembler.job().mutable_schedule();
  if (schedule.file().empty()) return;
  const bool by_override = assembler.WasOverridden("schedule.file");
  if (!by_override && assembler.WasOverridden("schedule.name")) {
    schedule.clear_file();
    return;
  }
  const bool both =
      assembler.WasGiven("schedule.name") || !schedule.parameters().empty();
  if (both && (!by_override || assembler.WasOverridden("schedule.name"))) {
    assembler.Problem(assembler.Where("schedule.file"),
                      "schedule.file says everything; leave schedule.name and "
                      "schedule.parameters out");
  }
  schedule.clear_name();
  schedule.clear_parameters();
}

// Works schedule and weight policy out from each other. A schedule that there
// is not is the coordinator's to refuse, and one of a file is not read here.
void CheckWeights(Assembler& assembler) {
  ScheduleSpec& schedule = *assembler.job().mutable_schedule();
  WeightsSpec& weights = *assembler.job().mutable_weights();
  if (!schedule.file().empty()) return;
  if (!schedule.name().empty() && !FindGenerator(schedule.name()).ok()) return;
  const absl::StatusOr<PolicyChoice> choice =
      CompletePolicy({schedule.name(), weights.policy()});
  if (!choice.ok()) {
    assembler.Problem(assembler.Where("weights.policy"),
                      std::string(choice.status().message()));
    return;
  }
  schedule.set_name(choice->schedule);
  weights.set_policy(choice->policy);
  const bool flushes = choice->policy == ToString(WeightPolicy::kFlush);
  if (!flushes && weights.clip().empty()) weights.set_clip("per_stage");
  if (flushes && assembler.WasGiven("weights.clip")) {
    assembler.Problem(assembler.Where("weights.clip"),
                      absl::StrCat("schedule ", choice->schedule,
                                   " flushes, and so clips by the norm of the "
                                   "whole gradient; leave weights.clip out"));
  }
}

void CheckPartition(Assembler& assembler) {
  PartitionSpec& partition = *assembler.job().mutable_partition();
  const int listed = partition.explicit_layers_size();
  if (!assembler.WasGiven("partition.stages")) {
    partition.set_stages(std::max(1, listed));
  } else if (listed > 0 && partition.stages() != listed) {
    assembler.Problem(
        assembler.Where("partition.stages"),
        absl::StrCat("partition.stages is ", partition.stages(),
                     " but partition.layers lists ", listed,
                     " stages; make them equal or leave one out"));
  }
  CountRanksOrStages(assembler);
}

// Reads the schedule that the job names, for what the job leaves to it too.
absl::Status AddScheduleFile(Job* job) {
  const std::string& path = job->schedule().file();
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("schedule.file: ", text.status().message()));
  }
  if (text->size() > kMaxScheduleBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("schedule.file: ", path, " has ", text->size(),
                     " bytes, want at most ", kMaxScheduleBytes));
  }
  const absl::StatusOr<Schedule> schedule = ParseSchedule(*text);
  if (!schedule.ok()) {
    return WithContext(schedule.status(),
                       absl::StrCat("schedule.file: ", path));
  }
  PartitionSpec& partition = *job->mutable_partition();
  if (partition.stages() == 0) partition.set_stages(schedule->num_stages());
  if (partition.ranks() == 0) partition.set_ranks(schedule->num_ranks());
  WeightsSpec& weights = *job->mutable_weights();
  const std::string policy(ToString(schedule->policy));
  if (weights.policy().empty()) weights.set_policy(policy);
  PENSTOCK_RETURN_IF_ERROR(
      CheckPolicyPair(schedule->name, policy, weights.policy()));
  job->mutable_schedule()->set_text(*std::move(text));
  return absl::OkStatus();
}

absl::Status AddProfile(Job* job) {
  const std::string path = job->emulate().model();
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("emulate: ", text.status().message()));
  }
  absl::StatusOr<wire::Profile> profile = ParseProfile(*text);
  if (!profile.ok()) {
    return WithContext(profile.status(), absl::StrCat("emulate: ", path));
  }
  *job->mutable_emulate() = *std::move(profile);
  // Where it is from, for people.
  job->mutable_emulate()->set_model(path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JobOverride> ParseSetFlag(absl::string_view flag) {
  const size_t equals = flag.find('=');
  if (equals == absl::string_view::npos || equals == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--set ", flag, ": wanted key=value, for example --set steps=500"));
  }
  return JobOverride{std::string(flag.substr(0, equals)),
                     std::string(flag.substr(equals + 1)),
                     absl::StrCat("--set ", flag)};
}

absl::StatusOr<Job> ParseJobFile(absl::string_view text,
                                 const JobFileSource& source,
                                 const std::vector<JobOverride>& overrides,
                                 const std::vector<PresetInfo>& presets) {
  GivenValues values = CollectGivenValues(text, source, overrides);
  if (values.by_path.empty() && !values.problems.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(values.problems, "\n"));
  }
  Assembler assembler(source, std::move(values));
  assembler.SetAll();
  if (!assembler.WasGiven("model.preset") && !assembler.WasGiven("emulate")) {
    assembler.ReportMissing(*FindJobKey("model.preset"));
  }
  // Numbers that were refused are 0 here; rules between keys would only repeat
  // what has been said about one of them.
  if (assembler.problems().empty()) {
    FillName(source, assembler);
    CheckModel(presets, assembler);
    FillEmulatedBatch(assembler);
    CheckBatch(assembler);
    CheckSchedule(assembler);
    CheckWeights(assembler);
    CheckPartition(assembler);
  }
  if (!assembler.problems().empty()) {
    return absl::InvalidArgumentError(
        absl::StrJoin(assembler.problems(), "\n"));
  }
  return std::move(assembler.job());
}

absl::StatusOr<Job> LoadJobFile(const std::string& path,
                                const std::string& working_folder,
                                const std::vector<JobOverride>& overrides,
                                const std::vector<PresetInfo>& presets) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const std::filesystem::path absolute =
      std::filesystem::path(Absolute(path, working_folder));
  return LoadJobText(text,
                     {path, absolute.parent_path().string(), working_folder},
                     overrides, presets);
}

absl::StatusOr<Job> LoadJobText(absl::string_view text,
                                const JobFileSource& source,
                                const std::vector<JobOverride>& overrides,
                                const std::vector<PresetInfo>& presets) {
  PENSTOCK_ASSIGN_OR_RETURN(Job job,
                            ParseJobFile(text, source, overrides, presets));
  if (!job.schedule().file().empty()) {
    PENSTOCK_RETURN_IF_ERROR(AddScheduleFile(&job));
  }
  if (job.has_emulate()) PENSTOCK_RETURN_IF_ERROR(AddProfile(&job));
  return job;
}

int CountServers(const PartitionSpec& partition) {
  const auto& replicas = partition.replicas();
  if (replicas.empty()) return partition.ranks();
  if (replicas.size() == 1) return partition.ranks() * replicas[0];
  return std::accumulate(replicas.begin(), replicas.end(), 0);
}

}  // namespace penstock
