#ifndef PENSTOCK_MODELS_DATA_DATA_SOURCE_H_
#define PENSTOCK_MODELS_DATA_DATA_SOURCE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/graph/graph.h"

namespace penstock {

// What a job says about its data; the rest is the model's to say.
struct DataRequest {
  // Of data that is read from a token file.
  std::string token_path;
  // Samples per step: a multiple of the graph's microbatch size.
  int64_t batch_size = 0;
  uint64_t seed = 0;
  // Of tokens: what lengths steps have (StepLengths), the longest that of the
  // graph's inputs. Empty: all of that.
  std::vector<int64_t> step_lengths;
  // Of inputs that are activations (images): float32 or bfloat16.
  at::ScalarType activation_type = at::kFloat;
};

// Gives a model's inputs by name and (step, microbatch). Stateless: each rank
// reads by itself the inputs that its layers take, and gets what any other
// rank, a re-run or a restart would. Thread-safe.
class DataSource {
 public:
  virtual ~DataSource() = default;

  // The source of what `graph`, which was checked, reads (Graph::data_kind).
  //   INVALID_ARGUMENT  the data does not give one of the graph's inputs, or
  //                     the batch is not of whole microbatches; or there are
  //                     lengths of steps that do not fit the graph.
  //   else              as TokenFile::Open.
  static absl::StatusOr<std::unique_ptr<DataSource>> Open(
      const Graph& graph, const DataRequest& request);

  // A new tensor of the shape that the graph gives its input `input`, in
  // shorter steps that of a graph of that length, for samples
  // microbatch * microbatch_size and on of the step; steps count from 0.
  // RESOURCE_EXHAUSTED without memory.
  // Requires: `input` is one of the graph's; step >= 0, 0 <= microbatch <
  // batch_size / microbatch_size.
  virtual absl::StatusOr<at::Tensor> Read(absl::string_view input, int64_t step,
                                          int64_t microbatch) const = 0;
};

}  // namespace penstock

#endif  // PENSTOCK_MODELS_DATA_DATA_SOURCE_H_
