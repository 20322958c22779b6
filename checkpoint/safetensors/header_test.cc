#include "checkpoint/safetensors/header.h"

#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

SafetensorsHeader Example() {
  SafetensorsHeader header;
  header.metadata = {{"format", "pt"}};
  header.tensors = {{"h0.w", StoredType::kFloat32, {2, 3}, 0, 24},
                    {"h0.b", StoredType::kBFloat16, {3}, 24, 30},
                    {"scalar", StoredType::kInt64, {}, 30, 38},
                    {"empty", StoredType::kFloat16, {0, 4}, 38, 38}};
  return header;
}

absl::Status ErrorOf(absl::string_view json, int64_t data_bytes) {
  return ParseHeader(json, data_bytes).status();
}

TEST(HeaderTest, ComesBackAsItWasWritten) {
  const absl::StatusOr<std::string> text = EncodeHeader(Example());
  ASSERT_TRUE(text.ok()) << text.status();
  const absl::StatusOr<int64_t> length =
      ParseHeaderLength(text->substr(0, 8), text->size() + 38);
  ASSERT_TRUE(length.ok()) << length.status();
  EXPECT_EQ(*length, static_cast<int64_t>(text->size()) - 8);
  const auto parsed = ParseHeader(text->substr(8), 38);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, Example());
}

TEST(HeaderTest, IsTheTextThatThePythonPackageReads) {
  SafetensorsHeader header;
  header.tensors = {{"w", StoredType::kFloat32, {2}}};
  const absl::StatusOr<std::string> text = EncodeHeader(header);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->substr(0, 8), std::string("\x38\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(text->substr(8),
            R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )");
}

TEST(HeaderTest, TensorsBeginAtAMultipleOfEightBytes) {
  SafetensorsHeader header;
  std::string name = "w";
  for (int i = 0; i < 8; ++i, name += "w") {
    header.tensors = {{name, StoredType::kFloat32, {2}}};
    EXPECT_EQ(EncodeHeader(header)->size() % 8, 0u);
  }
}

TEST(HeaderTest, TensorsMayBeNamedInAnotherOrderThanTheirBytes) {
  const auto header = ParseHeader(
      R"({"b":{"data_offsets":[4,8],"shape":[1],"dtype":"F32"},
          "a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      8);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->tensors[0].name, "a");
  EXPECT_EQ(header->tensors[1].name, "b");
}

TEST(HeaderTest, AnEmptyFileHasNoTensors) {
  const auto header = ParseHeader("{}", 0);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_TRUE(header->tensors.empty());
}

TEST(HeaderTest, ALengthThatTheFileCannotHaveIsRefused) {
  const std::string huge(8, '\xff');
  EXPECT_TRUE(absl::IsDataLoss(ParseHeaderLength(huge, 1000).status()));
  const std::string sixteen("\x10\0\0\0\0\0\0\0", 8);
  EXPECT_EQ(*ParseHeaderLength(sixteen, 24), 16);
  EXPECT_TRUE(absl::IsDataLoss(ParseHeaderLength(sixteen, 23).status()));
  EXPECT_TRUE(absl::IsDataLoss(ParseHeaderLength("abc", 3).status()));
  const std::string hundred_megabytes_and_one("\x01\xe1\xf5\x05\0\0\0\0", 8);
  EXPECT_TRUE(absl::IsDataLoss(
      ParseHeaderLength(hundred_megabytes_and_one, int64_t{1} << 40).status()));
}

TEST(HeaderTest, BytesOfTwoTensorsOrOfNoneAreRefused) {
  constexpr char kTwo[] =
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[)";
  EXPECT_EQ(ErrorOf(absl::StrCat(kTwo, "4,8]}}"), 8), absl::OkStatus());
  for (const char* offsets : {"0,4]}}", "2,6]}}", "5,9]}}"}) {
    const absl::Status status = ErrorOf(absl::StrCat(kTwo, offsets), 9);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("tensor b begins"));
  }
  EXPECT_THAT(std::string(ErrorOf(absl::StrCat(kTwo, "4,8]}}"), 12).message()),
              HasSubstr("8 bytes, the file has 12"));
}

TEST(HeaderTest, BytesThatDoNotFitTypeAndShapeAreRefused) {
  EXPECT_EQ(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8)
          .message(),
      "tensor a: F32 [3] takes 12 bytes, data_offsets say 0 to 8");
  EXPECT_TRUE(absl::IsDataLoss(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8)));
  // 2^62 + 2^62 elements of 8 bytes wrap to 0.
  const absl::Status wrapped =
      ErrorOf(R"({"a":{"dtype":"I64","shape":[4611686018427387904,2],)"
              R"("data_offsets":[0,0]}})",
              0);
  EXPECT_TRUE(absl::IsDataLoss(wrapped));
  EXPECT_THAT(std::string(wrapped.message()), HasSubstr("beyond 64 bits"));
}

TEST(HeaderTest, WhatIsNotOfTheFormatIsNamedWithItsPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"[]", "an array at its start, want an object"},
      {"3", "a number at its start"},
      {R"({"a":3})", "a number at \"a\", want an object for each tensor"},
      {R"({"a":{"dtype":5}})", "a number at \"a\", dtype, want a string"},
      {R"({"a":{"shape":[-1]}})", "a negative number at \"a\", shape"},
      {R"({"a":{"shape":[[1]]}})", "an array at \"a\", shape"},
      {R"({"a":{"shape":[1.5]}})", "1.5 at \"a\", shape"},
      {R"({"a":{"data_offsets":[0]}})", "fewer than two numbers"},
      {R"({"a":{"data_offsets":[0,1,2]}})", "a third number"},
      {R"({"a":{"data_offsets":[0,18446744073709551615]}})", "beyond 63 bits"},
      {R"({"a":{"strides":[1]}})", "has \"strides\""},
      {R"({"a":{"shape":[1],"shape":[1]}})", "has \"shape\" twice"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", "has no \"data_offsets\""},
      {R"({"a":{}})", "has no \"dtype\""},
      {R"({"__metadata__":{"k":1}})", "want a string"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", "\"k\" twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "twice"},
      {"{} {}", "not JSON from its byte"},
      {"{\"\xff\":{}}", "not JSON"},
  };
  for (const auto& [json, want] : cases) {
    const absl::Status status = ErrorOf(json, 0);
    EXPECT_TRUE(absl::IsDataLoss(status)) << json << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(want)) << json;
  }
}

TEST(HeaderTest, ATypeThatPenstockDoesNotKeepIsNamed) {
  const absl::Status status = ErrorOf(
      R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("F8_E4M3"));
}

TEST(HeaderTest, DeepNestingIsRefusedAtItsFirstLevel) {
  EXPECT_THAT(std::string(ErrorOf(std::string(1'000'000, '['), 0).message()),
              HasSubstr("an array at its start"));
}

TEST(HeaderTest, WhatCannotBeStoredIsRefused) {
  SafetensorsHeader twice;
  twice.tensors = {{"w", StoredType::kFloat32, {2}},
                   {"w", StoredType::kFloat32, {2}}};
  SafetensorsHeader nameless;
  nameless.tensors = {{"", StoredType::kFloat32, {2}}};
  SafetensorsHeader negative;
  negative.tensors = {{"w", StoredType::kFloat32, {-2}}};
  SafetensorsHeader huge;
  huge.tensors = {
      {"w", StoredType::kFloat32, {std::numeric_limits<int64_t>::max(), 2}}};
  SafetensorsHeader not_text;
  not_text.tensors = {{"\xff", StoredType::kFloat32, {2}}};
  for (const auto& header : {twice, nameless, negative, huge, not_text}) {
    EXPECT_TRUE(absl::IsInvalidArgument(EncodeHeader(header).status()));
  }
}

// One byte changed at a time, to a few others: refused, or a header that says
// the same when it is written and read again.
TEST(HeaderTest, NoChangedByteIsTakenForSomethingElse) {
  const std::string text = EncodeHeader(Example())->substr(8);
  int refused = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char other : {'0', '9', '"', '{', '}', '[', ',', '\0', '\xff'}) {
      std::string changed = text;
      changed[i] = other;
      const auto header = ParseHeader(changed, 38);
      if (!header.ok()) {
        ++refused;
        continue;
      }
      const auto again = ParseHeader(EncodeHeader(*header)->substr(8), 38);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(*again, *header);
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace penstock
