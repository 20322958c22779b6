#include "models/data/data_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/data/token_data.h"
#include "models/graph/layer_kinds.h"

namespace penstock {
namespace {

class TokenSource : public DataSource {
 public:
  static absl::StatusOr<std::unique_ptr<DataSource>> Open(
      const Graph& graph, const DataRequest& request) {
    for (const auto& [name, shape] : graph.inputs) {
      if (name == "tokens" || name == "labels") continue;
      return absl::InvalidArgumentError(
          absl::StrCat("data: model ", graph.name, " reads \"", name,
                       "\"; a token file gives tokens and labels"));
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        TokenData data,
        TokenData::Open(
            {.path = request.token_path,
             .vocabulary = VocabularyOf(graph),
             .sequence_length = graph.inputs.begin()->second.shape.at(1),
             .batch_size = request.batch_size,
             .microbatch_size = graph.microbatch_size,
             .seed = request.seed}));
    return std::unique_ptr<DataSource>(new TokenSource(std::move(data)));
  }

  absl::StatusOr<at::Tensor> Read(absl::string_view input, int64_t step,
                                  int64_t microbatch) const override {
    return input == "tokens" ? data_.Tokens(step, microbatch)
                             : data_.Labels(step, microbatch);
  }

 private:
  explicit TokenSource(TokenData data) : data_(std::move(data)) {}

  const TokenData data_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DataSource>> DataSource::Open(
    const Graph& graph, const DataRequest& request) {
  return TokenSource::Open(graph, request);
}

}  // namespace penstock
