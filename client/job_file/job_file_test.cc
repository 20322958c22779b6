#include "client/job_file/job_file.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/job_file/job_json.h"
#include "client/job_file/key_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "yaml-cpp/yaml.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kShortest[] =
    "model:\n"
    "  preset: gpt-nano\n"
    "data:\n"
    "  tokens: text.bin\n"
    "steps: 200\n";

const std::vector<PresetInfo>& TwoPresets() {
  static const auto* const presets = new std::vector<PresetInfo>{
      {"gpt-nano", "small", {{"layers", "4"}, {"hidden", "128"}}, 64},
      {"mlp", "smaller", {{"layers", "3"}}, 32},
      {"cnn", "images", {{"blocks", "1"}}, 1, "images"}};
  return *presets;
}

absl::StatusOr<Job> Parse(const std::string& text,
                          const std::vector<std::string>& sets = {}) {
  std::vector<JobOverride> overrides;
  for (const std::string& set : sets) {
    const absl::StatusOr<JobOverride> parsed = ParseSetFlag(set);
    if (!parsed.ok()) return parsed.status();
    overrides.push_back(*parsed);
  }
  return ParseJobFile(text, {"nano.yaml", "/jobs", "/home/me"}, overrides,
                      TwoPresets());
}

std::string ErrorOf(const std::string& text,
                    const std::vector<std::string>& sets = {}) {
  const absl::StatusOr<Job> job = Parse(text, sets);
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(job.status().message());
}

TEST(JobFileTest, ShortestFileGetsEveryDefault) {
  const absl::StatusOr<Job> job = Parse(kShortest);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->name(), "nano");
  EXPECT_EQ(job->model().preset(), "gpt-nano");
  EXPECT_EQ(job->data().sequence_length(), 64);
  EXPECT_EQ(job->batch_size(), 8);
  EXPECT_EQ(job->steps(), 200);
  EXPECT_EQ(job->optimizer().kind(), "adamw");
  EXPECT_DOUBLE_EQ(job->optimizer().learning_rate(), 0.001);
  EXPECT_DOUBLE_EQ(job->optimizer().epsilon(), 1e-8);
  EXPECT_EQ(job->learning_rate_schedule().kind(), "constant");
  EXPECT_EQ(job->schedule().name(), "one_f_one_b");
  EXPECT_EQ(job->schedule().microbatches(), 4);
  EXPECT_EQ(job->partition().stages(), 1);
  EXPECT_EQ(job->dtype(), "float32");
  EXPECT_EQ(job->threads(), 1);
  EXPECT_GT(job->step_timeout_seconds(), 0);
}

TEST(JobFileTest, DataThatIsMadeUpNeedsNoFile) {
  const absl::StatusOr<Job> job = Parse("model: {preset: cnn}\nsteps: 5\n");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->data().kind(), "images");
  EXPECT_EQ(job->data().sequence_length(), 1);
  EXPECT_EQ(job->data().tokens(), "");
  EXPECT_EQ(Parse(kShortest)->data().kind(), "tokens");
}

TEST(JobFileTest, EveryKeysExampleParses) {
  for (const JobKey& key : JobKeys()) {
    std::vector<std::string> sets = {absl::StrCat(key.path, "=", key.example)};
    // Values that only go together with another key's.
    if (key.path == "model.overrides") sets = {"model.overrides={layers: 6}"};
    if (key.path == "schedule.microbatches") sets.push_back("batch_size=16");
    if (key.path == "weights.clip") sets.push_back("weights.policy=stash");
    const absl::StatusOr<Job> job =
        Parse(key.path == "emulate" ? "steps: 1" : kShortest, sets);
    EXPECT_TRUE(job.ok()) << key.path << ": " << job.status();
  }
}

TEST(JobFileTest, AWeightPolicyChoosesTheSchedule) {
  const absl::StatusOr<Job> job = Parse(kShortest, {"weights.policy=grouped"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->schedule().name(), "wpipe");
  EXPECT_EQ(job->weights().policy(), "grouped");
  EXPECT_EQ(job->weights().clip(), "per_stage");
}

TEST(JobFileTest, AScheduleSaysItsWeightPolicy) {
  const absl::StatusOr<Job> flush = Parse(kShortest, {"schedule.name=gpipe"});
  ASSERT_TRUE(flush.ok()) << flush.status();
  EXPECT_EQ(flush->weights().policy(), "flush");
  EXPECT_EQ(flush->weights().clip(), "");
  const absl::StatusOr<Job> job =
      Parse(kShortest, {"schedule.name=pipedream", "weights.policy=stash"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->weights().policy(), "stash");
  EXPECT_EQ(Parse(kShortest, {"schedule.file=mine.txt"})->weights().policy(),
            "");
}

TEST(JobFileTest, AWeightPolicyOfAnotherScheduleNamesThePairs) {
  EXPECT_THAT(
      ErrorOf(kShortest, {"schedule.name=gpipe", "weights.policy=stash"}),
      AllOf(HasSubstr("--set weights.policy=stash: weights.policy is stash, "
                      "and schedule gpipe is one of flush"),
            HasSubstr("stash with pipedream")));
}

TEST(JobFileTest, AMisspeltWeightPolicyGetsASuggestion) {
  EXPECT_THAT(ErrorOf(kShortest, {"weights.policy=doublebuffer"}),
              HasSubstr("did you mean \"double_buffer\"?"));
}

TEST(JobFileTest, ClippingPerStageIsRefusedWithAFlush) {
  EXPECT_THAT(ErrorOf(kShortest, {"weights.clip=per_stage"}),
              HasSubstr("schedule one_f_one_b flushes, and so clips by the "
                        "norm of the whole gradient"));
}

TEST(JobFileTest, AScheduleFileReplacesTheGenerator) {
  const absl::StatusOr<Job> job = Parse(kShortest, {"schedule.file=mine.txt"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->schedule().file(), "/home/me/mine.txt");
  EXPECT_EQ(job->schedule().name(), "");
  EXPECT_THAT(
      Parse(kShortest, {"schedule.file=mine.txt", "schedule.name=gpipe"})
          .status()
          .message(),
      HasSubstr("leave schedule.name and schedule.parameters out"));
}

TEST(JobFileTest, AnOverrideChoosesBetweenAScheduleAndAFileOfOne) {
  const std::string named = absl::StrCat(
      kShortest, "schedule:\n  name: gpipe\n  parameters: {order: lifo}\n");
  const absl::StatusOr<Job> file = Parse(named, {"schedule.file=mine.txt"});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->schedule().name(), "");
  EXPECT_TRUE(file->schedule().parameters().empty());
  const absl::StatusOr<Job> name =
      Parse(absl::StrCat(kShortest, "schedule:\n  file: mine.txt\n"),
            {"schedule.name=gpipe"});
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(name->schedule().file(), "");
  EXPECT_EQ(name->schedule().name(), "gpipe");
}

TEST(JobFileTest, EveryDefaultIsInItsOwnRange) {
  for (const JobKey& key : JobKeys()) {
    if (!key.default_value.has_value() || key.default_value->empty()) continue;
    const absl::StatusOr<Job> job =
        Parse(kShortest, {absl::StrCat(key.path, "=", *key.default_value)});
    EXPECT_TRUE(job.ok()) << key.path << ": " << job.status();
  }
}

// Stages and ranks of the shortest job with these settings.
std::pair<int, int> StagesAndRanks(const std::vector<std::string>& sets) {
  const absl::StatusOr<Job> job = Parse(kShortest, sets);
  EXPECT_TRUE(job.ok()) << job.status();
  if (!job.ok()) return {};
  return {job->partition().stages(), job->partition().ranks()};
}

TEST(JobFileTest, OfStagesAndRanksOneFollowsFromTheOther) {
  const std::string interleaved = "schedule.name=interleaved";
  EXPECT_EQ(StagesAndRanks({}), std::pair(1, 1));
  EXPECT_EQ(StagesAndRanks({"partition.stages=4"}), std::pair(4, 4));
  EXPECT_EQ(StagesAndRanks({interleaved, "partition.stages=4"}),
            std::pair(4, 2));
  EXPECT_EQ(StagesAndRanks({interleaved, "partition.ranks=4"}),
            std::pair(8, 4));
  EXPECT_EQ(StagesAndRanks({interleaved, "partition.ranks=2",
                            "schedule.parameters={chunks: 3}"}),
            std::pair(6, 2));
  EXPECT_EQ(
      StagesAndRanks({interleaved, "partition.ranks=2", "partition.stages=8"}),
      std::pair(8, 2));
  EXPECT_EQ(StagesAndRanks({"schedule.name=zbv", "partition.layers=[[a], [b]]",
                            "partition.ranks=1"}),
            std::pair(2, 1));
  // What does not fit is left to the coordinator, which knows why.
  EXPECT_EQ(StagesAndRanks({"schedule.name=zbv", "partition.stages=3"}),
            std::pair(3, 0));
  EXPECT_EQ(StagesAndRanks({"schedule.name=zpv", "partition.ranks=3"}),
            std::pair(3, 3));
}

TEST(JobFileTest, ReplicasAreOneNumberOrAList) {
  const auto replicas = [](const std::string& value) {
    const absl::StatusOr<Job> job =
        Parse(kShortest, {absl::StrCat("partition.replicas=", value)});
    EXPECT_TRUE(job.ok()) << job.status();
    if (!job.ok()) return std::vector<int>();
    const auto& counts = job->partition().replicas();
    return std::vector<int>(counts.begin(), counts.end());
  };
  EXPECT_EQ(replicas("2"), std::vector<int>({2}));
  EXPECT_EQ(replicas("[2, 1]"), std::vector<int>({2, 1}));
  EXPECT_EQ(Parse(kShortest)->partition().replicas_size(), 1);
  for (const std::string value : {"0", "[2, 0]", "[]", "two", "{a: 1}"}) {
    EXPECT_THAT(
        Parse(kShortest, {absl::StrCat("partition.replicas=", value)})
            .status()
            .message(),
        HasSubstr("partition.replicas wants an integer, or a list of some like "
                  "[2, 1], each of at least 1 (stage servers), got"))
        << value;
  }
}

TEST(JobFileTest, ReplicasMultiplyTheServers) {
  PartitionSpec partition;
  partition.set_ranks(2);
  EXPECT_EQ(CountServers(partition), 2);
  partition.add_replicas(3);
  EXPECT_EQ(CountServers(partition), 6);
  partition.add_replicas(1);
  EXPECT_EQ(CountServers(partition), 4);
}

TEST(JobFileTest, NestedKeysReachTheirFields) {
  const absl::StatusOr<Job> job = Parse(absl::StrCat(
      kShortest,
      "optimizer: {kind: sgd, learning_rate: 3e-4, momentum: 0.8}\n"
      "schedule: {name: gpipe, microbatches: 2, parameters: {order: lifo}}\n"
      "partition: {layers: [[embed, h0], [head]]}\n"
      "seed: 18446744073709551615\n"
      "wire: {compress: fp8_block, error_feedback: true}\n"
      "threads: auto\n"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->optimizer().kind(), "sgd");
  EXPECT_DOUBLE_EQ(job->optimizer().learning_rate(), 3e-4);
  EXPECT_EQ(job->schedule().parameters().at("order"), "lifo");
  EXPECT_EQ(job->partition().stages(), 2);
  EXPECT_EQ(job->partition().explicit_layers(0).layers(1), "h0");
  EXPECT_EQ(job->seed(), 18446744073709551615ull);
  EXPECT_EQ(job->threads(), 0);
  EXPECT_EQ(job->wire().compress(), "fp8_block");
  EXPECT_TRUE(job->wire().error_feedback());
}

TEST(JobFileTest, RelativeTokensCountFromTheFilesFolder) {
  const absl::StatusOr<Job> job = Parse(kShortest);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->data().tokens(), "/jobs/text.bin");
}

TEST(JobFileTest, RelativeTokensInSetCountFromTheWorkingFolder) {
  const absl::StatusOr<Job> job = Parse(kShortest, {"data.tokens=../t.bin"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->data().tokens(), "/home/t.bin");
}

TEST(JobFileTest, TheLongestOfSeveralLengthsIsTheSequenceLength) {
  const absl::StatusOr<Job> job =
      Parse(kShortest, {"data.sequence_lengths=[16, 48, 32, 16]"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->data().sequence_lengths_size(), 4);
  EXPECT_EQ(job->data().sequence_length(), 48);
  // Both may be there, as in what `describe` prints.
  const absl::StatusOr<Job> again = Parse(JobToJson(*job).dump());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ShortDebugString(), job->ShortDebugString());
  EXPECT_EQ(Parse(kShortest)->data().sequence_lengths_size(), 0);
}

TEST(JobFileTest, LastSetWinsOverTheFile) {
  const absl::StatusOr<Job> job =
      Parse(absl::StrCat(kShortest, "batch_size: 16\n"),
            {"batch_size=32", "batch_size=64", "model.overrides.layers=2"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->batch_size(), 64);
  EXPECT_EQ(job->model().overrides().at("layers"), "2");
}

TEST(JobFileTest, WholeMappingInSetReplacesTheFilesNames) {
  const absl::StatusOr<Job> job = Parse(
      "model: {preset: gpt-nano, overrides: {layers: 2}}\n"
      "data: {tokens: t}\nsteps: 1\n",
      {"model.overrides={hidden: 64}"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->model().overrides_size(), 1);
  EXPECT_EQ(job->model().overrides().at("hidden"), "64");
}

TEST(JobFileTest, JobAsYamlParsesToTheSameJob) {
  const absl::StatusOr<Job> job =
      Parse(kShortest, {"model.overrides={layers: 2}", "threads=auto",
                        "partition.layers=[[embed], [head]]", "seed=7"});
  ASSERT_TRUE(job.ok()) << job.status();
  // JSON is YAML.
  const absl::StatusOr<Job> again = Parse(JobToJson(*job).dump());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ShortDebugString(), job->ShortDebugString());
}

struct BadCase {
  std::string name;
  std::string text;
  std::string message;  // a part of it
};

class BadJobFileTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadJobFileTest, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(ErrorOf(GetParam().text), HasSubstr(GetParam().message));
}

std::string With(const std::string& lines) {
  return absl::StrCat(kShortest, lines);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadJobFileTest,
    ::testing::Values(
        BadCase{"Empty", "", "nano.yaml: is empty"},
        BadCase{"OnlyComments", "# nothing\n\n", "nano.yaml: is empty"},
        BadCase{"NotYaml", "steps: [1, 2\nbatch_size: }", "is not YAML"},
        BadCase{"Tabs", "model:\n\tpreset: x\n", "nano.yaml:2:"},
        BadCase{"Binary",
                std::string("\x7f"
                            "ELF\0\0",
                            6),
                "holds a zero byte"},
        BadCase{"Text", "just words", "wants keys with values"},
        BadCase{"List", "- a\n- b\n", "got a list"},
        BadCase{"TwoDocuments", With("---\nsteps: 2\n"),
                "more than one YAML document"},
        BadCase{"UnknownCompression", With("wire: {compress: zip}\n"),
                "wire.compress wants none, bf16, fp16, fp8_block or auto, got "
                "\"zip\""},
        BadCase{"MemoryBackwards",
                With("checkpoint: {memory_every_steps: -1}\n"),
                "checkpoint.memory_every_steps wants an integer of at least "
                "0"},
        BadCase{"RestartsBackwards", With("restart: {limit: -1}\n"),
                "restart.limit wants an integer of at least 0"},
        BadCase{"BackoffBackwards", With("restart: {backoff_seconds: -2}\n"),
                "restart.backoff_seconds wants a number of at least 0"},
        BadCase{"PriorityTooHigh", With("priority: 1001\n"),
                "priority wants an integer of at least -1000 and less than "
                "1001, got \"1001\""},
        BadCase{"PriorityTooLow", With("priority: -1001\n"),
                "priority wants an integer of at least -1000"},
        BadCase{"ElasticWord", With("elastic: {min_stages: few}\n"),
                "elastic.min_stages wants an integer"},
        BadCase{"ElasticBackwards", With("elastic: {max_stages: -1}\n"),
                "elastic.max_stages wants an integer of at least 0"},
        BadCase{"GrowNumber", With("elastic: {grow: 3}\n"),
                "elastic.grow wants false or true, got \"3\""},
        BadCase{"CheckpointKeptNever", With("checkpoint: {keep_last: 0}\n"),
                "checkpoint.keep_last wants an integer of at least 1"},
        BadCase{"CheckpointBackwards", With("checkpoint: {every_steps: -5}\n"),
                "checkpoint.every_steps wants an integer of at least 0"},
        BadCase{"CheckpointSecondsOfNoNumber",
                With("checkpoint: {every_seconds: often}\n"),
                "checkpoint.every_seconds wants a number"},
        BadCase{"ResumeThatIsNone", With("start: {resume: maybe}\n"),
                "start.resume wants never, auto or require, got \"maybe\""},
        BadCase{"FlagThatIsNone", With("wire: {error_feedback: maybe}\n"),
                "wire.error_feedback wants false or true, got \"maybe\""},
        BadCase{"UnknownKey", With("batchsize: 4\n"),
                "nano.yaml:6:1: unknown key \"batchsize\"; did you mean "
                "\"batch_size\"?"},
        BadCase{"UnknownNestedKey", With("optimizer:\n  learning_rat: 1\n"),
                "nano.yaml:7:3: unknown key \"learning_rat\" in optimizer; "
                "did you mean \"learning_rate\"?"},
        BadCase{"KeyInWrongPlace", With("learning_rate: 1\n"),
                "did you mean \"optimizer.learning_rate\"?"},
        BadCase{"FarKey", With("zebra: 1\n"), "keys here: name, model"},
        BadCase{"TwiceTheKey", With("steps: 3\n"),
                "nano.yaml:6:1: steps is given twice, first at "
                "nano.yaml:5:8"},
        BadCase{"WrongType", With("batch_size: lots\n"),
                "nano.yaml:6:13: batch_size wants an integer of at least 1 "
                "(samples), got \"lots\""},
        BadCase{"FractionForInteger", With("batch_size: 2.5\n"), "got \"2.5\""},
        BadCase{"QuotedNumber", With("batch_size: \"8\"\n"),
                "got the quoted text \"8\"; remove the quotes"},
        BadCase{"ListForInteger", With("batch_size: [8]\n"), "got a list"},
        BadCase{"NoValue", With("batch_size:\n"),
                "nano.yaml:6:1: batch_size wants an integer of at least 1 "
                "(samples), got no value"},
        BadCase{"ZeroSize", With("batch_size: 0\n"), "got \"0\""},
        BadCase{"NegativeSize", With("batch_size: -8\n"), "got \"-8\""},
        BadCase{"HugeSize", With("batch_size: 99999999999\n"),
                "got \"99999999999\"; it must be less than 16777216"},
        BadCase{"HugeSeed", With("seed: 18446744073709551616\n"),
                "seed wants an integer of at least 0, got "
                "\"18446744073709551616\"; it is too large"},
        BadCase{"NegativeSteps",
                "model: {preset: mlp}\ndata: {tokens: t}\nsteps: -1\n",
                "steps wants an integer of at least 1"},
        BadCase{"NegativeSeed", With("seed: -1\n"), "seed wants"},
        BadCase{"ZeroStages", With("partition: {stages: 0}\n"),
                "partition.stages wants an integer of at least 1"},
        BadCase{"NotANumber", With("optimizer: {learning_rate: nan}\n"),
                "optimizer.learning_rate wants a number of at least 0"},
        BadCase{"BetaOfOne", With("optimizer: {beta1: 1}\n"),
                "at least 0 and less than 1"},
        BadCase{"ZeroTimeout", With("step_timeout_seconds: 0\n"),
                "a number more than 0 (seconds)"},
        BadCase{"UnknownChoice", With("optimizer: {kind: adam}\n"),
                "optimizer.kind wants sgd or adamw, got \"adam\"; did you "
                "mean \"adamw\"?"},
        BadCase{"SectionIsScalar", With("optimizer: adamw\n"),
                "optimizer wants a mapping with kind, learning_rate"},
        BadCase{"MissingSteps", "model: {preset: mlp}\ndata: {tokens: t}\n",
                "nano.yaml: steps is missing; wanted an integer of at least 1 "
                "(steps), for example `steps: 200`"},
        BadCase{"MissingPreset", "steps: 4\ndata: {tokens: t}\n",
                "model.preset is missing"},
        BadCase{"MissingTokens", "steps: 4\nmodel: {preset: mlp}\n",
                "data.tokens is missing"},
        BadCase{"KindThatTheModelDoesNotRead",
                "model: {preset: mlp}\ndata: {kind: images}\nsteps: 2\n",
                "nano.yaml:2:14: model mlp reads tokens, not images"},
        BadCase{"UnknownKind",
                "model: {preset: cnn}\ndata: {kind: image}\nsteps: 2\n",
                "data.kind wants tokens, images, pairs or translation, got "
                "\"image\"; did you mean \"images\"?"},
        BadCase{"TokensForImages",
                "model: {preset: cnn}\ndata: {tokens: t}\nsteps: 2\n",
                "model cnn reads images, which are made up; leave data.tokens "
                "out"},
        BadCase{"SequenceOfImages",
                "model: {preset: cnn}\ndata: {sequence_length: 8}\nsteps: 2\n",
                "model cnn reads images, which have no sequence; leave "
                "data.sequence_length out"},
        BadCase{"LengthsOfImages",
                "model: {preset: cnn}\ndata: {sequence_lengths: [8]}\n"
                "steps: 2\n",
                "nano.yaml:2:26: model cnn reads images, and only tokens have "
                "steps of several lengths; leave data.sequence_lengths out"},
        BadCase{"LengthOfNothing",
                "model: {preset: mlp}\nsteps: 2\n"
                "data: {tokens: t, sequence_lengths: [8, 0]}\n",
                "data.sequence_lengths wants an integer, or a list of some "
                "like [64, 128, 256], each of at least 1 (tokens), got a list"},
        BadCase{"LongestLengthIsAnother",
                "model: {preset: mlp}\nsteps: 2\n"
                "data: {tokens: t, sequence_length: 16, "
                "sequence_lengths: [8, 12]}\n",
                "nano.yaml:3:58: data.sequence_length is 16, and the longest "
                "of data.sequence_lengths is 12; leave one of them out"},
        BadCase{"UnknownModel",
                "model: {preset: gpt-nono}\ndata: {tokens: t}\nsteps: 2\n",
                "nano.yaml:1:17: unknown model \"gpt-nono\"; wanted one of "
                "gpt-nano, mlp, cnn; did you mean \"gpt-nano\"?"},
        BadCase{"UnknownOverride",
                "model: {preset: mlp, overrides: {layer: 2}}\n"
                "data: {tokens: t}\nsteps: 2\n",
                "model mlp has no number \"layer\"; it has layers; did you "
                "mean \"layers\"?"},
        BadCase{"OverrideIsList",
                "model: {preset: mlp, overrides: {layers: [2]}}\n"
                "data: {tokens: t}\nsteps: 2\n",
                "model.overrides.layers wants a number or text, got a list"},
        BadCase{"MicrobatchesDoNotDivide",
                With("batch_size: 12\nschedule: {microbatches: 5}\n"),
                "batch_size 12 does not divide into 5 microbatches; with "
                "batch_size 12 microbatches of 1, 2, 3, 4, 6, 12 would do, or "
                "with 5 microbatches batch_size 10 or 15"},
        BadCase{"MoreMicrobatchesThanSamples", With("batch_size: 2\n"),
                "or with 4 microbatches batch_size 4"},
        BadCase{"StagesAgainstLayers",
                With("partition: {stages: 3, layers: [[a], [b]]}\n"),
                "partition.stages is 3 but partition.layers lists 2 stages"},
        BadCase{"EmptyStage", With("partition: {layers: [[a], []]}\n"),
                "partition.layers wants a list of stages"},
        BadCase{"BadName", With("name: a/b\n"), "name wants letters"}),
    [](const auto& info) { return info.param.name; });

TEST(JobFileTest, ListsEveryProblem) {
  const std::string error = ErrorOf("stepz: 3\nbatch_size: no\n");
  EXPECT_THAT(error, HasSubstr("nano.yaml:1:1: unknown key \"stepz\""));
  EXPECT_THAT(error, HasSubstr("nano.yaml:2:13: batch_size wants"));
  EXPECT_THAT(error, HasSubstr("model.preset is missing"));
}

TEST(JobFileTest, EveryKeyRefusesAMapping) {
  for (const JobKey& key : JobKeys()) {
    if (key.type == KeyType::kNameMap) continue;
    EXPECT_THAT(ErrorOf(kShortest, {absl::StrCat(key.path, "={a: b}")}),
                HasSubstr(absl::StrCat(key.path, " wants ")));
  }
}

TEST(SetFlagTest, ErrorsNameTheFlag) {
  EXPECT_THAT(ErrorOf(kShortest, {"steps=x"}),
              StartsWith("--set steps=x: steps wants"));
  EXPECT_THAT(ErrorOf(kShortest, {"optimizer.bta1=0.5"}),
              HasSubstr("unknown key \"bta1\" in optimizer; did you mean"));
  EXPECT_THAT(ErrorOf(kShortest, {"steps.more=1"}),
              HasSubstr("steps is one value and holds no keys"));
  EXPECT_THAT(ErrorOf(kShortest, {"optimizer=adamw"}),
              HasSubstr("holds keys of its own"));
  EXPECT_THAT(ErrorOf(kShortest, {"batch_size=[1"}), HasSubstr("is not YAML"));
  EXPECT_THAT(ErrorOf(kShortest, {"steps"}), HasSubstr("wanted key=value"));
}

TEST(SetFlagTest, ValueMayHoldEqualsSigns) {
  const absl::StatusOr<JobOverride> set = ParseSetFlag("data.tokens=a=b");
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->value, "a=b");
}

TEST(KeyTableTest, EveryKeyIsDocumentedWithAnExample) {
  for (const JobKey& key : JobKeys()) {
    EXPECT_FALSE(key.doc.empty()) << key.path;
    EXPECT_FALSE(key.example.empty()) << key.path;
    EXPECT_FALSE(IsJobSection(key.path)) << key.path;
  }
}

TEST(LoadJobFileTest, ExampleJobsParse) {
  for (const std::string name :
       {"gpt-nano", "gpt-nano-2bw", "gpt-nano-wpipe", "gpt-mini", "mlp", "cnn",
        "unet", "inception", "two-tower", "seq2seq"}) {
    const absl::StatusOr<Job> job =
        LoadJobFile(absl::StrCat("deploy/local/jobs/", name, ".yaml"), "/src",
                    {}, Presets());
    ASSERT_TRUE(job.ok()) << job.status();
    EXPECT_EQ(job->name(), name);
    EXPECT_EQ(job->data().tokens(), job->data().kind() == "tokens"
                                        ? "/src/deploy/local/jobs/text.bin"
                                        : "");
  }
}

TEST(LoadJobFileTest, GroupsOfStagesFollowFromThePolicy) {
  const absl::StatusOr<Job> job = LoadJobFile(
      "deploy/local/jobs/gpt-nano-wpipe.yaml", "/src", {}, Presets());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->schedule().name(), "wpipe");
  EXPECT_EQ(job->partition().stages(), 4);
  EXPECT_EQ(job->partition().ranks(), 2);
}

TEST(LoadJobFileTest, MissingFileIsNotFound) {
  const absl::StatusOr<Job> job =
      LoadJobFile("/nowhere/job.yaml", "/", {}, TwoPresets());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(job.status().message()),
              HasSubstr("/nowhere/job.yaml"));
}

TEST(JobFileTest, AnEmulatedJobNeedsNoModel) {
  const absl::StatusOr<Job> job =
      Parse("steps: 3\nemulate: profile.json\npartition: {stages: 4}\n");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->emulate().model(), "/jobs/profile.json");
  EXPECT_EQ(job->schedule().microbatches(), 16);
  EXPECT_EQ(job->batch_size(), 16);
}

TEST(JobFileTest, ABatchOfAnEmulatedJobIsItsMicrobatches) {
  const absl::StatusOr<Job> job =
      Parse("steps: 3\nemulate: profile.json\n", {"schedule.microbatches=6"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->batch_size(), 6);
}

TEST(JobFileTest, EmulateStandsForModelAndData) {
  EXPECT_THAT(ErrorOf(kShortest, {"emulate=profile.json"}),
              AllOf(HasSubstr("nano.yaml:2:11: emulate stands for a model and "
                              "its data; leave model.preset or emulate out"),
                    HasSubstr("leave data.tokens or emulate out")));
  EXPECT_THAT(
      ErrorOf("steps: 3\nemulate: p.json\n", {"model.overrides.layers=2"}),
      HasSubstr("leave model.overrides or emulate out"));
}

TEST(JobFileTest, WithoutEmulateAModelIsRequired) {
  EXPECT_THAT(ErrorOf("steps: 3\n"), HasSubstr("model.preset is missing"));
}

}  // namespace
}  // namespace penstock
