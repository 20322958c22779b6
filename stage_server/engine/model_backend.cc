#include "stage_server/engine/model_backend.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "models/graph/layer_kinds.h"
#include "models/layers/init.h"
#include "models/layers/torch_status.h"
#include "stage_server/engine/learning_rate.h"

namespace penstock {
namespace {

at::ScalarType ScalarTypeOf(DType dtype) {
  switch (dtype) {
    case DTYPE_BFLOAT16:
      return at::kBFloat16;
    case DTYPE_FLOAT16:
      return at::kHalf;
    case DTYPE_INT64:
      return at::kLong;
    default:
      return at::kFloat;
  }
}

constexpr char kBfloat16[] = "bfloat16";
constexpr char kFloat16[] = "float16";

absl::StatusOr<std::vector<at::Tensor>> MakeStatistics(const LayerSpec& layer,
                                                       uint64_t seed,
                                                       Device& device) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ParameterSpec> specs,
                            StatisticsOf(layer));
  std::vector<at::Tensor> statistics;
  for (const ParameterSpec& spec : specs) {
    const at::Tensor first = at::empty(spec.shape, at::kFloat);
    PENSTOCK_RETURN_IF_ERROR(InitialValue(spec, seed, first));
    statistics.push_back(first.to(device.torch_device()));
  }
  return statistics;
}

std::string Where(const char* op, StageId stage, MicrobatchId piece) {
  return absl::StrCat("stage ", stage.value(), " ", op, " of microbatch ",
                      piece.value());
}

template <typename T>
bool ByLayer(const T& a, const T& b) {
  return a.layer < b.layer;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelBackend>> ModelBackend::Make(
    RankPlan plan, Device& device, StateSource* restore) {
  PENSTOCK_RETURN_IF_ERROR(
      CheckLearningRate(plan.job.learning_rate_schedule()));
  PENSTOCK_ASSIGN_OR_RETURN(Optimizer optimizer,
                            Optimizer::Make(plan.job.optimizer()));
  if (plan.job.dtype() == kFloat16) {
    PENSTOCK_RETURN_IF_ERROR(CheckLossScale(plan.job.loss_scale()));
  }
  std::unique_ptr<ModelBackend> backend(
      new ModelBackend(std::move(plan), device, std::move(optimizer)));
  PENSTOCK_RETURN_IF_ERROR(backend->OpenData());
  PENSTOCK_RETURN_IF_ERROR(
      CatchTorch("making the weights", [&]() -> absl::Status {
        PENSTOCK_RETURN_IF_ERROR(backend->MakeBuffers());
        PENSTOCK_RETURN_IF_ERROR(backend->MakeSites());
        return backend->MakeModules();
      }));
  if (restore != nullptr) PENSTOCK_RETURN_IF_ERROR(backend->Restore(*restore));
  return backend;
}

at::ScalarType ModelBackend::weight_type() const {
  const std::string& dtype = plan_.job.dtype();
  return dtype == kBfloat16  ? at::kBFloat16
         : dtype == kFloat16 ? at::kHalf
                             : at::kFloat;
}

absl::Status ModelBackend::OpenData() {
  bool reads = false;
  for (const RankStage& stage : plan_.stages) {
    reads = reads || !stage.data_inputs.empty();
    if (!stage.loss_position.has_value()) continue;
    has_loss_ = plan_.FirstRankOf(stage.id) == plan_.rank;
  }
  identity_.numerics_id = NumericsId(plan_.job);
  if (plan_.job.evaluation().every_steps() > 0) {
    PENSTOCK_ASSIGN_OR_RETURN(HeldOut held_out,
                              HeldOut::Open(plan_, weight_type(), reads));
    held_out_.emplace(std::move(held_out));
  }
  if (!reads) return absl::OkStatus();
  PENSTOCK_ASSIGN_OR_RETURN(
      identity_.dataset_fingerprint,
      DatasetFingerprint(plan_.job, plan_.graph.data_kind));
  DataRequest request;
  request.token_path = plan_.job.data().tokens();
  request.batch_size = plan_.job.batch_size();
  request.seed = plan_.job.seed();
  request.activation_type = weight_type();
  const auto& lengths = plan_.job.data().sequence_lengths();
  request.step_lengths = {lengths.begin(), lengths.end()};
  PENSTOCK_ASSIGN_OR_RETURN(data_, DataSource::Open(plan_.graph, request));
  return absl::OkStatus();
}

absl::Status ModelBackend::MakeBuffers() {
  for (const RankStage& stage : plan_.stages) {
    Part& part = parts_[stage.id];
    std::vector<ParameterSpec> owned;
    for (const StageLayer& layer : stage.layers) {
      const int first = static_cast<int>(owned.size());
      for (const ParameterSpec& parameter : layer.parameters) {
        if (parameter.tied_to.empty()) owned.push_back(parameter);
      }
      part.owned.emplace_back(first, static_cast<int>(owned.size()) - first);
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        WeightStore weights,
        WeightStore::Make(std::move(owned), plan_.job.seed(), weight_type(),
                          {optimizer_.num_moments(),
                           plan_.MaxVersions(stage.id), stage.num_gradients},
                          device_));
    part.weights.emplace(std::move(weights));
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::MakeModules() {
  for (const RankStage& stage : plan_.stages) {
    Part& part = parts_[stage.id];
    std::vector<LayerTensors> tensors;
    int owned = 0;
    for (const StageLayer& layer : stage.layers) {
      LayerTensors& one = tensors.emplace_back();
      PENSTOCK_ASSIGN_OR_RETURN(one.statistics,
                                MakeStatistics(plan_.graph.layers[layer.layer],
                                               plan_.job.seed(), device_));
      part.statistics.push_back(one.statistics);
      const int num_slots = part.weights->max_versions();
      const int num_gradients = part.weights->num_gradients();
      one.weights.resize(num_slots);
      one.gradients.resize(num_gradients);
      for (const ParameterSpec& parameter : layer.parameters) {
        if (parameter.tied_to.empty()) {
          for (int slot = 0; slot < num_slots; ++slot) {
            one.weights[slot].push_back(part.weights->WeightLeaf(owned, slot));
          }
          for (int slot = 0; slot < num_gradients; ++slot) {
            one.gradients[slot].push_back(part.weights->Gradient(owned, slot));
          }
          ++owned;
          continue;
        }
        for (size_t i = 0; i < sites_.size(); ++i) {
          if (plan_.tied_sites[i].user_parameter != parameter.name) continue;
          for (int slot = 0; slot < num_slots; ++slot) {
            one.weights[slot].push_back(sites_[i].weights[slot]);
          }
          for (int slot = 0; slot < num_gradients; ++slot) {
            one.gradients[slot].push_back(sites_[i].gradients[slot]);
          }
        }
      }
    }
    PENSTOCK_ASSIGN_OR_RETURN(
        StageModule module,
        StageModule::Make(plan_, stage, std::move(tensors)));
    part.module.emplace(std::move(module));
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::BeginStep(int64_t step) {
  step_ = step;
  losses_.ForgetBefore(step);
  if (runs_on()) return absl::OkStatus();
  learning_rate_ = LearningRate(plan_.job.learning_rate_schedule(),
                                plan_.job.optimizer().learning_rate(),
                                plan_.job.steps(), num_updates_);
  loss_scale_ = next_loss_scale_;
  norm_.reset();
  agreed_ = false;
  skipped_ = false;
  agreed_loss_.reset();
  sites_added_ = false;
  for (SiteTensors& site : sites_) {
    site.gradient_came = false;
    site.weight_came = false;
  }
  for (auto& [id, part] : parts_) {
    part.reduced = false;
    part.updated = false;
    part.module->BeginUpdate(static_cast<float>(loss_scale_.scale));
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::EndStep() {
  if (runs_on()) return absl::OkStatus();
  for (const auto& [id, part] : parts_) {
    if (part.updated && part.module->num_in_flight() == 0) continue;
    return absl::InternalError(absl::StrCat(
        "stage ", id.value(), " was not updated, or has ",
        part.module->num_in_flight(), " microbatches still in flight"));
  }
  for (size_t i = 0; i < sites_.size(); ++i) {
    const TiedSite& site = plan_.tied_sites[i];
    if (site.is_local || sites_[i].weights.empty() || sites_[i].weight_came) {
      continue;
    }
    return absl::InternalError(absl::StrCat(
        "\"", site.user_parameter, "\" did not get its owner's new value"));
  }
  if (store_.num_held() != 0) {
    return absl::InternalError(
        absl::StrCat(store_.num_held(), " tensors were not used"));
  }
  ++(skipped_ ? num_skipped_ : num_updates_);
  if (is_scaled()) {
    next_loss_scale_ =
        NextLossScale(plan_.job.loss_scale(), loss_scale_, skipped_);
  }
  return absl::OkStatus();
}

// A flush has checked as much at the end of its step.
absl::Status ModelBackend::EndList() {
  int num_in_flight = 0;
  for (const auto& [id, part] : parts_) {
    num_in_flight += part.module->num_in_flight();
    if (!runs_on()) continue;
    PENSTOCK_RETURN_IF_ERROR(CheckTiedHave(id, part.weights->newest_version()));
  }
  if (num_in_flight == 0 && store_.num_held() == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("at the end of the run ", num_in_flight,
                   " microbatches are in flight and ", store_.num_held(),
                   " tensors were not used"));
}

ModelBackend::InStep ModelBackend::StepOf(MicrobatchId piece) const {
  if (!runs_on()) return {step_, piece.value()};
  return {piece.value() / plan_.num_pieces(),
          piece.value() % plan_.num_pieces()};
}

std::vector<MicrobatchId> ModelBackend::PiecesOf(MicrobatchId microbatch,
                                                 Half half) const {
  const int count = plan_.pieces_per_microbatch;
  std::vector<MicrobatchId> pieces;
  for (int i = 0; i < count; ++i) {
    if (half == Half::kFirst && i != 0) continue;
    if (half == Half::kSecond && i != 1) continue;
    pieces.push_back(MicrobatchId(microbatch.value() * count + i));
  }
  return pieces;
}

absl::Status ModelBackend::Forward(StageId stage, MicrobatchId microbatch,
                                   std::optional<int32_t> version) {
  for (const MicrobatchId piece : PiecesOf(microbatch, Half::kWhole)) {
    PENSTOCK_RETURN_IF_ERROR(evaluating_ ? EvaluatePiece(stage, piece)
                                         : ForwardPiece(stage, piece, version));
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::ForwardPiece(StageId stage, MicrobatchId piece,
                                        std::optional<int32_t> version) {
  Part& part = parts_.at(stage);
  if (part.updated) {
    return absl::InternalError(absl::StrCat("stage ", stage.value(),
                                            " has been updated in this step"));
  }
  const InStep at = StepOf(piece);
  ForwardRequest request;
  request.microbatch = piece;
  request.context = {plan_.job.seed(), at.step, at.piece, /*training=*/true};
  for (const std::string& input : part.module->stage().data_inputs) {
    PENSTOCK_ASSIGN_OR_RETURN(at::Tensor value,
                              data_->Read(input, at.step, at.piece));
    request.data.push_back(std::move(value));
  }
  absl::StatusOr<int> slot = part.weights->Hold(piece, version);
  if (slot.ok() && runs_on()) {
    const absl::Status tied = CheckTiedHave(stage, version.value_or(0));
    if (!tied.ok()) slot = tied;
  }
  if (!slot.ok()) {
    return WithContext(slot.status(), Where("F", stage, piece));
  }
  request.slot = *slot;
  PENSTOCK_ASSIGN_OR_RETURN(const std::optional<float> loss,
                            part.module->Forward(std::move(request), store_));
  if (!loss.has_value()) return absl::OkStatus();
  return RecordLoss(stage, at, *loss);
}

absl::Status ModelBackend::RecordLoss(StageId stage, const InStep& at,
                                      float loss) {
  losses_.Record(at.step, at.piece, loss);
  // A scaled one shows in the gradients, by which the step is skipped.
  if (std::isfinite(loss) || is_scaled()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "step ", at.step + 1, ", stage ", stage.value(), ", microbatch ",
      at.piece / plan_.pieces_per_microbatch, ": the loss is ", loss,
      "; a smaller learning rate, a warm-up or clip_norm may help"));
}

absl::Status ModelBackend::CheckVersion(const char* op, StageId stage,
                                        MicrobatchId piece,
                                        std::optional<int32_t> version) const {
  const absl::Status held = parts_.at(stage).weights->CheckHeld(piece, version);
  return held.ok() ? held : WithContext(held, Where(op, stage, piece));
}

absl::Status ModelBackend::Recompute(StageId stage, MicrobatchId microbatch,
                                     std::optional<int32_t> version) {
  for (const MicrobatchId piece : PiecesOf(microbatch, Half::kWhole)) {
    PENSTOCK_RETURN_IF_ERROR(CheckVersion("R", stage, piece, version));
    PENSTOCK_RETURN_IF_ERROR(parts_.at(stage).module->Recompute(piece));
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::Backward(StageId stage, MicrobatchId microbatch,
                                    Half half, std::optional<int32_t> version) {
  for (const MicrobatchId piece : PiecesOf(microbatch, half)) {
    Part& part = parts_.at(stage);
    PENSTOCK_RETURN_IF_ERROR(CheckVersion("B", stage, piece, version));
    PENSTOCK_RETURN_IF_ERROR(part.module->Backward(piece, store_));
    part.weights->GiveBack(piece);
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::BackwardInput(StageId stage, MicrobatchId microbatch,
                                         Half half,
                                         std::optional<int32_t> version) {
  for (const MicrobatchId piece : PiecesOf(microbatch, half)) {
    PENSTOCK_RETURN_IF_ERROR(CheckVersion("I", stage, piece, version));
    PENSTOCK_RETURN_IF_ERROR(
        parts_.at(stage).module->BackwardInput(piece, store_));
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::BackwardWeight(StageId stage,
                                          MicrobatchId microbatch, Half half,
                                          std::optional<int32_t> version) {
  for (const MicrobatchId piece : PiecesOf(microbatch, half)) {
    Part& part = parts_.at(stage);
    PENSTOCK_RETURN_IF_ERROR(CheckVersion("W", stage, piece, version));
    PENSTOCK_RETURN_IF_ERROR(part.module->BackwardWeight(piece));
    part.weights->GiveBack(piece);
  }
  return absl::OkStatus();
}

absl::Status ModelBackend::CheckGradientIsWhole(StageId stage) const {
  const auto found = parts_.find(stage);
  if (found == parts_.end()) return absl::OkStatus();
  const Part& part = found->second;
  if (part.module->HasWholeGradient() &&
      (part.reduced || !part.module->stage().is_shared)) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("stage ", stage.value(),
                   " has not yet the gradient of all its microbatches"));
}

absl::StatusOr<at::Tensor> ModelBackend::Outgoing(const Action& send) {
  const Edge& edge = plan_.schedule.edges[send.edge.value()];
  if (edge.kind == EdgeKind::kTiedWeight) return OutgoingTied(send);
  std::vector<at::Tensor> pieces;
  for (const MicrobatchId piece : PiecesOf(send.microbatch, send.half)) {
    PENSTOCK_ASSIGN_OR_RETURN(
        at::Tensor tensor, store_.Take(DirectionOf(send.op), send.edge, piece));
    pieces.push_back(std::move(tensor));
  }
  if (pieces.size() == 1) return std::move(pieces[0]);
  return CatchTorch("joining a microbatch", [&] {
    const at::NoGradGuard no_grad;
    return at::cat(pieces);
  });
}

absl::StatusOr<at::Tensor> ModelBackend::Buffer(const Action& receive) {
  const Edge& edge = plan_.schedule.edges[receive.edge.value()];
  return CatchTorch(
      "memory for a receive", [&]() -> absl::StatusOr<at::Tensor> {
        if (edge.kind == EdgeKind::kActivation) {
          // Held-out data is of the longest length.
          const TensorSpec& spec =
              evaluating_
                  ? plan_.edge_tensors[receive.edge.value()]
                  : plan_.EdgeTensor(
                        receive.edge,
                        StepOf(
                            PiecesOf(receive.microbatch, receive.half).front())
                            .step);
          std::vector<int64_t> shape(spec.shape().begin(), spec.shape().end());
          if (receive.half != Half::kWhole) shape[0] /= 2;
          return at::empty(shape, at::TensorOptions()
                                      .dtype(ScalarTypeOf(spec.dtype()))
                                      .device(device_.torch_device()));
        }
        PENSTOCK_ASSIGN_OR_RETURN(const int site, SiteOf(receive.edge));
        // Masters and main gradients alike are float32.
        const at::Tensor& like = DirectionOf(receive.op) == Direction::kForward
                                     ? sites_[site].gradients[0]
                                     : sites_[site].owner_gradients[0];
        return at::empty(like.sizes(), like.options());
      });
}

absl::Status ModelBackend::Incoming(const Action& receive, at::Tensor tensor) {
  const Edge& edge = plan_.schedule.edges[receive.edge.value()];
  if (edge.kind == EdgeKind::kTiedWeight) {
    return IncomingTied(receive, std::move(tensor));
  }
  const std::vector<MicrobatchId> pieces =
      PiecesOf(receive.microbatch, receive.half);
  const auto count = static_cast<int64_t>(pieces.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t size = tensor.size(0) / count;
    // A copy, so that each begins where layers want it (Layer).
    at::Tensor piece =
        count == 1 ? tensor : tensor.narrow(0, i * size, size).clone();
    PENSTOCK_RETURN_IF_ERROR(store_.Put(DirectionOf(receive.op), receive.edge,
                                        pieces[i], std::move(piece)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<at::Tensor>> ModelBackend::Gradients(StageId stage) {
  if (runs_on()) return GradientsAlone(stage);
  Part& part = parts_.at(stage);
  if (!part.module->HasWholeGradient() || std::exchange(part.reduced, true)) {
    return absl::InternalError(absl::StrCat(
        "stage ", stage.value(),
        " has not yet the gradient of all its microbatches, or was reduced"));
  }
  return CatchTorch("gradients to reduce",
                    [&] { return FinishedGradients(stage, /*slot=*/0); });
}

std::vector<at::Tensor> ModelBackend::FinishedGradients(StageId stage,
                                                        int slot) {
  const at::NoGradGuard no_grad;
  Part& part = parts_.at(stage);
  part.module->FinishGradients();
  std::vector<at::Tensor> gradients = {part.weights->flat_gradient(slot)};
  for (size_t i = 0; i < sites_.size(); ++i) {
    if (plan_.tied_sites[i].user_stage != stage) continue;
    gradients.push_back(sites_[i].gradients[slot]);
  }
  if (at::Tensor statistics = part.module->StatisticsToReduce();
      statistics.defined()) {
    gradients.push_back(std::move(statistics));
  }
  return gradients;
}

absl::StatusOr<AgreementParts> ModelBackend::NormParts() {
  if (sites_added_) return absl::InternalError("N has run in this step");
  for (const auto& [id, part] : parts_) {
    PENSTOCK_RETURN_IF_ERROR(CheckGradientIsWhole(id));
  }
  PENSTOCK_RETURN_IF_ERROR(AddSites());
  return CatchTorch("the gradient norm", [&] {
    AgreementParts parts;
    std::vector<LayerSquares>& result = parts.squares;
    for (const auto& [id, part] : parts_) {
      if (plan_.FirstRankOf(id) != plan_.rank) continue;
      const std::vector<LayerSquares> squares = SquaresOf(part);
      result.insert(result.end(), squares.begin(), squares.end());
    }
    std::sort(result.begin(), result.end(), ByLayer<LayerSquares>);
    if (plan_.loss_places[plan_.rank.value()] > 0) {
      const StepLosses::Losses losses = losses_.Of(step_);
      parts.losses.assign(losses.begin(), losses.end());
    }
    return parts;
  });
}

std::vector<LayerSquares> ModelBackend::SquaresOf(const Part& part,
                                                  int slot) const {
  std::vector<LayerSquares> result;
  const std::vector<StageLayer>& layers = part.module->stage().layers;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto [first, count] = part.owned[i];
    if (count == 0) continue;
    LayerSquares squares = {layers[i].layer, 0};
    for (int j = first; j < first + count; ++j) {
      squares.squares += device_.SumOfSquares(part.weights->Gradient(j, slot));
    }
    result.push_back(squares);
  }
  return result;
}

absl::Status ModelBackend::SetNorm(const Agreement& agreement) {
  const GlobalNorm& norm = agreement.norm;
  agreed_ = true;
  agreed_loss_ = agreement.mean_loss;
  if (!norm.broken_layer.has_value()) {
    norm_ = norm.norm / loss_scale_.scale;
    return absl::OkStatus();
  }
  const double smallest = plan_.job.loss_scale().minimum();
  skipped_ = is_scaled() && loss_scale_.scale > smallest;
  if (skipped_) return absl::OkStatus();
  return BrokenGradient(step_, *norm.broken_layer);
}

absl::Status ModelBackend::BrokenGradient(int64_t step, int layer) const {
  return absl::FailedPreconditionError(absl::StrCat(
      "step ", step + 1, ": a gradient of layer ", layer, " (",
      plan_.graph.layers[layer].name, ") is not finite",
      is_scaled() ? absl::StrCat(" at the smallest loss scale ",
                                 plan_.job.loss_scale().minimum(),
                                 " (loss_scale.minimum); bfloat16,")
                  : ";",
      " a smaller learning rate or a warm-up may help"));
}

absl::Status ModelBackend::Update(StageId stage,
                                  std::optional<int32_t> version) {
  if (runs_on()) return UpdateAlone(stage, version);
  Part& part = parts_.at(stage);
  if (!agreed_ || std::exchange(part.updated, true)) {
    return absl::InternalError(absl::StrCat(
        "stage ", stage.value(),
        agreed_ ? " has been updated" : ": N has not run", " in this step"));
  }
  if (skipped_) {
    part.module->DropStatistics();
    return absl::OkStatus();
  }
  PENSTOCK_RETURN_IF_ERROR(part.module->CommitStatistics());
  return CatchTorch(
      absl::StrCat("update of stage ", stage.value()), [&]() -> absl::Status {
        UpdateArguments arguments;
        arguments.learning_rate = learning_rate_;
        arguments.update = num_updates_ + part.earlier_updates;
        arguments.gradient_scale = ClipScale(*norm_, optimizer_.clip_norm()) *
                                   static_cast<float>(1.0 / loss_scale_.scale);
        PENSTOCK_RETURN_IF_ERROR(
            part.weights->Update(optimizer_, arguments, device_));
        device_.Synchronize();
        return absl::OkStatus();
      });
}

std::optional<double> ModelBackend::MeanLoss() const {
  if (!has_loss_) return std::nullopt;
  if (agreed_loss_.has_value()) return agreed_loss_;
  return losses_.Mean(step_);
}

void ModelBackend::Report(StepResult& result) const {
  result.loss = MeanLoss();
  result.gradient_norm = norm_;
  result.learning_rate = learning_rate_;
  result.skipped = skipped_;
  if (!has_loss_) return;
  if (is_scaled()) result.loss_scale = loss_scale_.scale;
  result.tokens = plan_.job.batch_size() * plan_.step_lengths.LengthOf(step_);
}

std::vector<LayerDigestResult> ModelBackend::Digests() const {
  std::vector<LayerDigestResult> digests;
  for (const auto& [id, part] : parts_) {
    if (plan_.FirstRankOf(id) != plan_.rank) continue;
    const std::vector<StageLayer>& layers = part.module->stage().layers;
    for (size_t i = 0; i < layers.size(); ++i) {
      const auto [first, count] = part.owned[i];
      if (count == 0) continue;
      std::vector<at::Tensor> hashed;
      for (int j = first; j < first + count; ++j) {
        hashed.push_back(part.weights->Master(j));
      }
      hashed.insert(hashed.end(), part.statistics[i].begin(),
                    part.statistics[i].end());
      Sha256 hash;
      for (const at::Tensor& tensor : hashed) {
        const at::Tensor values = tensor.cpu();
        hash.Update(values.const_data_ptr(),
                    static_cast<size_t>(values.nbytes()));
      }
      digests.push_back({layers[i].layer,
                         plan_.graph.layers[layers[i].layer].name,
                         hash.Finish()});
    }
  }
  std::sort(digests.begin(), digests.end(), ByLayer<LayerDigestResult>);
  return digests;
}

MemoryUse ModelBackend::CountedMemory() const {
  MemoryUse use;
  for (const auto& [id, part] : parts_) {
    const WeightBytes bytes = part.weights->bytes();
    use.set_weight_bytes(use.weight_bytes() + bytes.weights);
    use.set_gradient_bytes(use.gradient_bytes() + bytes.gradients);
    use.set_optimizer_bytes(use.optimizer_bytes() + bytes.moments);
  }
  for (const SiteTensors& site : sites_) {
    if (site.weights.empty()) continue;
    for (const at::Tensor& gradient : site.gradients) {
      use.set_gradient_bytes(use.gradient_bytes() + gradient.nbytes());
    }
    if (site.owner != nullptr) continue;
    for (const at::Tensor& weight : site.weights) {
      use.set_weight_bytes(use.weight_bytes() + weight.nbytes());
    }
  }
  use.set_peak_bytes(use.weight_bytes() + use.gradient_bytes() +
                     use.optimizer_bytes());
  return use;
}

int64_t ModelBackend::weight_queue_bytes() const {
  int64_t bytes = 0;
  for (const auto& [id, part] : parts_) {
    bytes += part.module->weight_queue_bytes();
  }
  return bytes;
}

}  // namespace penstock
