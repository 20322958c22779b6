#include "client/job_file/job_file_page.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/job_file/key_table.h"
#include "models/zoo/zoo.h"

namespace penstock {
namespace {

constexpr char kHead[] = R"(# The job file

<!-- Made from client/job_file/key_table.cc; do not edit. To make it again:
     bazel run //client/job_file:write_page -- "$PWD/docs/job_file.md" -->

A job file is YAML and says what to train. The shortest one:

```yaml
model:
  preset: gpt-nano
data:
  tokens: text.bin     # made by: penstock data prepare --text FILE -o text.bin
steps: 200
```

`penstock submit job.yaml` sends it, `penstock local run job.yaml` runs it on
this machine, and `penstock submit job.yaml --dry-run` only shows the plan.

* A key that is not in the table below is refused with its line and column.
* `--set key=value` changes any key for one run: `--set steps=500`,
  `--set model.overrides.layers=6`, `--set 'partition.layers=[[embed], [head]]'`.
  The last one given wins, and all win over the file.
* `-o yaml` of `penstock describe` shows a job with every default filled in;
  its `job` part is a job file again.

## Keys

)";

constexpr char kModels[] = R"(
## Models

Those that read `tokens` need `data.tokens`. The others read what stage servers
make up from the job's `seed`, each for itself: `images` show stripes in noise,
with classes to tell apart and masks of where they are; `pairs` are such images
with captions; `translation` is sentences of a toy language and the same turned
around. `deploy/local/jobs` has examples.

| `model.preset` | what | `data.kind` | `data.sequence_length` | `model.overrides` |
|---|---|---|---|---|
)";

constexpr char kLengths[] = R"(
## Steps of several lengths

```yaml
data:
  tokens: text.bin
  sequence_lengths: [64, 128, 128, 256]
```

makes every sample of one step 64, 128 or 256 tokens long, half of the steps
128. The length of a step is a function of `seed` and the step's number, so it
is the same at any number of stages and nothing is sent to agree on it. Samples
are drawn as those of the longest length; a shorter step trains on a part of
each, which begins anywhere in it. Memory is predicted for the longest, tokens
are counted as they are, and what is predicted of a step's time is for steps
like those measured. A list of one length is the same job as
`data.sequence_length` of it. `wire.error_feedback` is refused: what one step
leaves over fits no step of another length.
)";

constexpr char kTail[] = R"(
## Which bits a run gives

In float32 on CPUs the same job gives the same bits in loss, gradient norm and
weights at any number of stages. A finished job carries a `weights_digest` to
check that with: the sha256 over the layers' sha256s in layer order, each over
the float32 master weights of the newest version, a tied parameter once, at its
owner. `threads`, the libtorch version and the processor's instruction set are
part of the numerics.
)";

std::string Code(const std::string& text) {
  return text.empty() ? "" : absl::StrCat("`", text, "`");
}

std::string DefaultCell(const JobKey& key) {
  if (!key.default_words.empty()) return key.default_words;
  if (!key.default_value.has_value()) return "**required**";
  return Code(*key.default_value);
}

// "`{blocks: 1, width: 16}`"
std::string OverridesCell(const PresetInfo& preset) {
  std::vector<std::string> numbers;
  for (const auto& [name, value] : preset.defaults) {
    numbers.push_back(absl::StrCat(name, ": ", value));
  }
  return absl::StrCat("`{", absl::StrJoin(numbers, ", "), "}`");
}

// A '|' would end the cell.
std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}});
}

}  // namespace

std::string JobFilePage() {
  std::string page = kHead;
  absl::StrAppend(
      &page, "| key | type | default | unit | allowed | example | meaning |\n",
      "|---|---|---|---|---|---|---|\n");
  for (const JobKey& key : JobKeys()) {
    absl::StrAppend(&page, "| `", key.path, "` | ", TypeName(key.type), " | ",
                    Cell(DefaultCell(key)), " | ", key.unit, " | ",
                    Cell(RangeWords(key)), " | ", Cell(Code(key.example)),
                    " | ", Cell(key.doc), " |\n");
  }
  absl::StrAppend(&page, kLengths, kModels);
  for (const PresetInfo& preset : Presets()) {
    absl::StrAppend(&page, "| `", preset.name, "` | ", preset.description,
                    " | `", preset.data_kind, "` | ",
                    preset.data_kind == "images"
                        ? ""
                        : absl::StrCat(preset.default_sequence_length),
                    " | ", OverridesCell(preset), " |\n");
  }
  return absl::StrCat(page, kTail);
}

}  // namespace penstock
