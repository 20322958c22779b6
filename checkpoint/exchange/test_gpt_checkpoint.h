#ifndef PENSTOCK_CHECKPOINT_EXCHANGE_TEST_GPT_CHECKPOINT_H_
#define PENSTOCK_CHECKPOINT_EXCHANGE_TEST_GPT_CHECKPOINT_H_

#include <cstdint>
#include <vector>

#include "checkpoint/manifest/manifest.h"
#include "checkpoint/manifest/test_checkpoint.h"
#include "proto/checkpoint.pb.h"

namespace penstock {

struct TestGptShape {
  int layers = 2;
  int64_t hidden = 8;
  int64_t vocabulary = 16;
  int64_t positions = 12;
  bool is_tied = false;
};

// For tests: what a job of a GPT preset of this shape has, in graph order.
std::vector<ExpectedLayer> TestGptLayers(const TestGptShape& shape);

// Its weights, without optimizer state: norms near 1, the others within 0.3,
// all different.
TestCheckpoint MakeTestGpt(const CheckpointId& id, const TestGptShape& shape);

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_EXCHANGE_TEST_GPT_CHECKPOINT_H_
