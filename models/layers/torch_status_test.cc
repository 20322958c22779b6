#include "models/layers/torch_status.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <new>
#include <stdexcept>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(CatchTorchTest, GivesWhatTheFunctionGives) {
  EXPECT_EQ(*CatchTorch("here", [] { return 3; }), 3);
  EXPECT_TRUE(CatchTorch("here", [] {}).ok());
  EXPECT_EQ(CatchTorch("here", [] { return absl::AbortedError("x"); }),
            absl::AbortedError("x"));
  EXPECT_EQ(*CatchTorch("here", [] { return absl::StatusOr<int>(4); }), 4);
}

TEST(CatchTorchTest, AnErrorOfLibtorchIsOneLineThatNamesThePlace) {
  const auto product = CatchTorch("layer \"a\"", [] {
    return at::mm(at::empty({2, 3}), at::empty({2, 3}));
  });
  EXPECT_EQ(product.status().code(), absl::StatusCode::kInternal);
  const std::string message(product.status().message());
  EXPECT_THAT(message, StartsWith("layer \"a\": mat1 and mat2"));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
}

TEST(CatchTorchTest, AFailedAllocationIsResourceExhausted) {
  const absl::Status status =
      CatchTorch("here", [] { at::empty({int64_t{1} << 58}, at::kByte); });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(CatchTorch("here", [] { throw std::bad_alloc(); }).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(CatchTorchTest, OtherExceptionsAreInternal) {
  EXPECT_EQ(CatchTorch("here", [] { throw std::runtime_error("why\nstack"); }),
            absl::InternalError("here: why"));
  EXPECT_EQ(CatchTorch("here", [] { throw 3; }).code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace penstock
