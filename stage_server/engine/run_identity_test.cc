#include "stage_server/engine/run_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A job on a token file of this content.
Job JobOn(const std::string& content) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/identity.bin");
  EXPECT_TRUE(WriteFileAtomically(path, content).ok());
  Job job;
  job.mutable_data()->set_tokens(path);
  return job;
}

std::string FingerprintOf(const std::string& content) {
  const auto fingerprint = DatasetFingerprint(JobOn(content), "tokens");
  EXPECT_TRUE(fingerprint.ok()) << fingerprint.status();
  return fingerprint.value_or("");
}

TEST(DatasetFingerprintTest, IsThatOfTheContent) {
  EXPECT_EQ(FingerprintOf("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_NE(FingerprintOf("abc"), FingerprintOf("abd"));
}

TEST(DatasetFingerprintTest, OfALongFileSeesSizeAndBothEnds) {
  std::string content(int64_t{260} << 20, 'a');
  const std::string whole = FingerprintOf(content);
  content.back() = 'b';
  EXPECT_NE(FingerprintOf(content), whole);
  content.back() = 'a';
  content.front() = 'b';
  EXPECT_NE(FingerprintOf(content), whole);
  content.front() = 'a';
  content += "aa";
  EXPECT_NE(FingerprintOf(content), whole);
}

TEST(DatasetFingerprintTest, OfMadeUpDataIsKindAndSeed) {
  Job job;
  job.set_seed(3);
  const auto images = DatasetFingerprint(job, "images");
  EXPECT_NE(*images, *DatasetFingerprint(job, "pairs"));
  job.set_seed(4);
  EXPECT_NE(*images, *DatasetFingerprint(job, "images"));
}

TEST(DatasetFingerprintTest, OfAFileThatIsGoneIsNotFound) {
  Job job;
  job.mutable_data()->set_tokens("/no/such.bin");
  EXPECT_EQ(DatasetFingerprint(job, "tokens").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(NumericsIdTest, NamesWhatTheBitsDependOn) {
  Job job;
  job.set_threads(3);
  EXPECT_THAT(NumericsId(job),
              AllOf(HasSubstr("libtorch "), HasSubstr(", cpu "),
                    HasSubstr(", oneDNN "), HasSubstr(", threads 3")));
  job.set_threads(0);
  EXPECT_THAT(NumericsId(job), HasSubstr("threads auto"));
}

TrainState Then() {
  TrainState then;
  then.set_dataset_fingerprint("d1");
  then.set_numerics_id("libtorch 1, cpu AVX2, threads 1");
  return then;
}

TEST(CheckSameRunTest, TheSameGoesOn) {
  EXPECT_TRUE(CheckSameRun({"d1", "libtorch 1, cpu AVX2, threads 1"}, Then(),
                           StartSpec())
                  .ok());
}

TEST(CheckSameRunTest, WhatIsNotKnownOnOneSideIsNotCompared) {
  EXPECT_TRUE(CheckSameRun({}, Then(), StartSpec()).ok());
  EXPECT_TRUE(CheckSameRun({"d1", "n"}, TrainState(), StartSpec()).ok());
}

TEST(CheckSameRunTest, OtherDataIsRefusedUnlessAllowed) {
  const RunIdentity now = {"d2", ""};
  StartSpec start;
  start.set_allow_other_numerics(true);
  const absl::Status refused = CheckSameRun(now, Then(), start);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("is d1"), HasSubstr("now d2"),
                    HasSubstr("start.allow_other_data")));
  start.set_allow_other_data(true);
  EXPECT_TRUE(CheckSameRun(now, Then(), start).ok());
}

TEST(CheckSameRunTest, OtherNumericsAreRefusedUnlessAllowedAndSayWhatChanged) {
  const RunIdentity now = {"", "libtorch 1, cpu AVX512, threads 1"};
  StartSpec start;
  start.set_allow_other_data(true);
  const absl::Status refused = CheckSameRun(now, Then(), start);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("now cpu AVX512; then cpu AVX2"),
                    Not(HasSubstr("threads")),
                    HasSubstr("start.allow_other_numerics")));
  start.set_allow_other_numerics(true);
  EXPECT_TRUE(CheckSameRun(now, Then(), start).ok());
}

}  // namespace
}  // namespace penstock
