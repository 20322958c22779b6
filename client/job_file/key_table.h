#ifndef PENSTOCK_CLIENT_JOB_FILE_KEY_TABLE_H_
#define PENSTOCK_CLIENT_JOB_FILE_KEY_TABLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock {

// What a key of the job file takes.
enum class KeyType {
  kText,
  kPath,     // made absolute against the job file's folder
  kInteger,  // decimal, no quotes
  kNumber,   // finite
  kNameMap,  // names to texts or numbers; the names are not in the table
  kCounts,   // an integer, or a list of some
  kLayers,   // a list of stages, each a list of layer names
};

// One row of the table that the parser, `--set`, the defaults, the job part of
// `-o yaml` and docs/job_file.md all read. A key that is not here does not
// exist.
struct JobKey {
  // As written in the job file, dots for nesting: "optimizer.beta1".
  std::string path;
  KeyType type = KeyType::kText;
  // As YAML. nullopt: the key must be given. For keys whose default is worked
  // out from others it is empty and `default_words` says how.
  std::optional<std::string> default_value;
  std::string default_words;
  // Of a number: "samples", "tokens", "seconds"; empty where there is none.
  std::string unit;
  std::optional<double> minimum;
  // Exclusive where `below` is set: minimum <= value < below.
  std::optional<double> below;
  // The minimum itself is refused too.
  bool above_minimum = false;
  // The only texts allowed; empty for any.
  std::vector<std::string> choices;
  // A word that may stand for 0, "auto".
  std::string zero_word;
  // As YAML, a value other than the default.
  std::string example;
  // One or two sentences for docs/job_file.md.
  std::string doc;
  // Path of the proto field in Job where it is not `path`.
  std::string field;
};

// In the order of docs/job_file.md. Lives for the whole process; thread-safe.
const std::vector<JobKey>& JobKeys();

// The row of `path`, or null.
const JobKey* FindJobKey(absl::string_view path);

// Whether `path` is a mapping that holds other keys, such as "optimizer".
bool IsJobSection(absl::string_view path);

// Names that may stand directly in `section` ("" is the top), for suggestions.
std::vector<std::string> NamesInSection(absl::string_view section);

// "an integer of at least 1 (samples)": what the key wants, for messages.
std::string Wanted(const JobKey& key);

// "integer", "text", ...: the type's name in the documentation.
std::string TypeName(KeyType type);

// "at least 1", "0 <= value < 1", "sgd or adamw"; empty for anything.
std::string RangeWords(const JobKey& key);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_JOB_FILE_KEY_TABLE_H_
