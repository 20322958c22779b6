#include "stage_server/engine/run_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
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

// That of a file of so many MiB of zeros, but for one byte.
std::string FingerprintOfZeros(int64_t mib, int64_t place, char byte) {
  const Job job = JobOn("x");
  const std::string& path = job.data().tokens();
  std::filesystem::resize_file(path, static_cast<uintmax_t>(mib) << 20);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.put(0);
  file.seekp(place);
  file.put(byte);
  file.close();
  const auto fingerprint = DatasetFingerprint(job, "tokens");
  EXPECT_TRUE(fingerprint.ok()) << fingerprint.status();
  return fingerprint.value_or("");
}

TEST(DatasetFingerprintTest, OfALongFileSeesSizeAndBothEnds) {
  const int64_t end = (int64_t{260} << 20) - 1;
  const std::set<std::string> all = {
      FingerprintOfZeros(260, 0, 0), FingerprintOfZeros(260, 0, 1),
      FingerprintOfZeros(260, end, 1), FingerprintOfZeros(261, 0, 0)};
  EXPECT_EQ(all.size(), 4u);
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
