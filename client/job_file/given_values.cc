#include "client/job_file/given_values.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/suggest.h"
#include "client/job_file/key_table.h"

namespace penstock {
namespace {

// Larger files are no job files; the parser would only waste memory on them.
constexpr size_t kMaxFileBytes = 1 << 20;

std::string Where(const std::string& file, const YAML::Mark& mark) {
  if (mark.is_null()) return file;
  return absl::StrCat(file, ":", mark.line + 1, ":", mark.column + 1);
}

std::string KindOf(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return "a mapping";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Scalar:
      return absl::StrCat("\"", node.Scalar(), "\"");
    default:
      return "nothing";
  }
}

std::string Join(const std::string& section, const std::string& name) {
  return section.empty() ? name : absl::StrCat(section, ".", name);
}

std::string UnknownKey(const std::string& section, const std::string& name) {
  const std::vector<std::string> names = NamesInSection(section);
  std::string suggestion = DidYouMean(name, names);
  // The right name in the wrong place: "learning_rate" at the top.
  for (const JobKey& key : JobKeys()) {
    if (!suggestion.empty()) break;
    if (absl::EndsWith(key.path, absl::StrCat(".", name))) {
      suggestion = absl::StrCat("; did you mean \"", key.path, "\"?");
    }
  }
  if (suggestion.empty()) {
    suggestion = absl::StrCat("; keys here: ", absl::StrJoin(names, ", "));
  }
  return absl::StrCat("unknown key \"", name, "\"",
                      section.empty() ? "" : absl::StrCat(" in ", section),
                      suggestion);
}

// Walks one document into `values`.
class Collector {
 public:
  Collector(std::string file, GivenValues& values)
      : file_(std::move(file)), values_(values) {}

  void AddSection(const std::string& section, const YAML::Node& node) {
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        Problem(entry.first, absl::StrCat("a key must be a plain name, got ",
                                          KindOf(entry.first)));
        continue;
      }
      AddEntry(section, entry.first, entry.second);
    }
  }

 private:
  void AddEntry(const std::string& section, const YAML::Node& name,
                const YAML::Node& value) {
    const std::string path = Join(section, name.Scalar());
    const JobKey* key = FindJobKey(path);
    if (key != nullptr && key->type == KeyType::kNameMap && value.IsMap()) {
      AddNames(path, value);
    } else if (key != nullptr) {
      Add(path, name, value);
    } else if (!IsJobSection(path)) {
      Problem(name, UnknownKey(section, name.Scalar()));
    } else if (value.IsMap()) {
      AddSection(path, value);
    } else if (!value.IsNull()) {
      Problem(value, absl::StrCat(path, " wants a mapping with ",
                                  absl::StrJoin(NamesInSection(path), ", "),
                                  ", got ", KindOf(value)));
    }
  }

  void AddNames(const std::string& path, const YAML::Node& map) {
    for (const auto& entry : map) {
      if (entry.first.IsScalar()) {
        Add(Join(path, entry.first.Scalar()), entry.first, entry.second);
      } else {
        Problem(entry.first,
                absl::StrCat("a name in ", path, " must be plain, got ",
                             KindOf(entry.first)));
      }
    }
  }

  void Add(const std::string& path, const YAML::Node& name,
           const YAML::Node& value) {
    // An absent value has no place of its own.
    const std::string where =
        Where(file_, value.IsNull() ? name.Mark() : value.Mark());
    const auto [old, added] =
        values_.by_path.try_emplace(path, GivenValue{value, where});
    if (!added) {
      Problem(name, absl::StrCat(path, " is given twice, first at ",
                                 old->second.where, "; keep one"));
    }
  }

  void Problem(const YAML::Node& node, const std::string& what) {
    values_.problems.push_back(
        absl::StrCat(Where(file_, node.Mark()), ": ", what));
  }

  const std::string file_;
  GivenValues& values_;
};

void CollectFile(absl::string_view text, const std::string& file,
                 GivenValues& values) {
  if (text.size() > kMaxFileBytes) {
    values.problems.push_back(absl::StrCat(
        file, ": is ", text.size(), " bytes; a job file has at most ",
        kMaxFileBytes, ". Is this the right file?"));
    return;
  }
  if (text.find('\0') != absl::string_view::npos) {
    values.problems.push_back(absl::StrCat(
        file, ": is not YAML: holds a zero byte. Is this the right file?"));
    return;
  }
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(std::string(text));
  } catch (const YAML::Exception& error) {
    values.problems.push_back(
        absl::StrCat(Where(file, error.mark), ": is not YAML: ", error.msg,
                     "; see docs/job_file.md for a whole job file"));
    return;
  }
  if (documents.empty() || (documents.size() == 1 && documents[0].IsNull())) {
    values.problems.push_back(absl::StrCat(
        file,
        ": is empty; a job file needs at least model.preset, steps and, for a "
        "language model, data.tokens, see docs/job_file.md"));
    return;
  }
  if (documents.size() > 1) {
    values.problems.push_back(
        absl::StrCat(Where(file, documents[1].Mark()),
                     ": holds more than one YAML document; one job per file"));
    return;
  }
  if (!documents[0].IsMap()) {
    values.problems.push_back(
        absl::StrCat(Where(file, documents[0].Mark()),
                     ": wants keys with values, like `steps: 200`, got ",
                     KindOf(documents[0])));
    return;
  }
  Collector(file, values).AddSection("", documents[0]);
}

bool IsNameInMap(const std::string& path) {
  const size_t dot = path.rfind('.');
  if (dot == std::string::npos) return false;
  const JobKey* parent = FindJobKey(absl::string_view(path).substr(0, dot));
  return parent != nullptr && parent->type == KeyType::kNameMap;
}

// The deepest section that `path` goes right in, and the name that goes wrong.
std::string UnknownPath(const std::string& path) {
  std::string section;
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    const std::string next = Join(section, std::string(name));
    if (FindJobKey(next) != nullptr) {
      return absl::StrCat("unknown key \"", path, "\"; ", next,
                          " is one value and holds no keys");
    }
    if (!IsJobSection(next)) return UnknownKey(section, std::string(name));
    section = next;
  }
  return absl::StrCat(path, " holds keys of its own: set one of ", path, ".{",
                      absl::StrJoin(NamesInSection(path), ", "), "}");
}

void ApplyOverride(const JobOverride& change, GivenValues& values) {
  const JobKey* key = FindJobKey(change.key);
  if (key == nullptr && !IsNameInMap(change.key)) {
    values.problems.push_back(
        absl::StrCat(change.origin, ": ", UnknownPath(change.key)));
    return;
  }
  YAML::Node node;
  try {
    node = YAML::Load(change.value);
  } catch (const YAML::Exception& error) {
    values.problems.push_back(
        absl::StrCat(change.origin, ": the value is not YAML: ", error.msg));
    return;
  }
  if (key == nullptr || key->type != KeyType::kNameMap || !node.IsMap()) {
    values.by_path[change.key] = {node, change.origin, true};
    return;
  }
  // A whole mapping replaces the names given before.
  std::erase_if(values.by_path, [&](const auto& entry) {
    return absl::StartsWith(entry.first, absl::StrCat(change.key, "."));
  });
  for (const auto& entry : node) {
    values.by_path[Join(change.key, entry.first.as<std::string>(""))] = {
        entry.second, change.origin, true};
  }
}

}  // namespace

GivenValues CollectGivenValues(absl::string_view text,
                               const JobFileSource& source,
                               const std::vector<JobOverride>& overrides) {
  GivenValues values;
  CollectFile(text, source.path, values);
  if (!values.problems.empty() && values.by_path.empty()) return values;
  for (const JobOverride& change : overrides) ApplyOverride(change, values);
  return values;
}

}  // namespace penstock
