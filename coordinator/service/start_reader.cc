#include "coordinator/service/start_reader.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/checkpointed_layers.h"
#include "coordinator/core/job_lookup.h"

namespace penstock {
namespace {

using Done = std::function<void(StartOrStatus)>;

bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

// Reads `id`; if it is damaged marks it so and calls `again`.
void ReadOrAgain(Loop& loop, const CheckpointId& id, Done done,
                 std::function<void()> again) {
  loop.checkpoints()->Read(id, [&loop, id, done = std::move(done),
                                again =
                                    std::move(again)](StartOrStatus manifest) {
    if (manifest.ok() || !IsDamage(manifest.status())) {
      return done(std::move(manifest));
    }
    loop.Submit(CheckpointDamaged{id, std::string(manifest.status().message())},
                [done, again](const absl::StatusOr<std::string>& answer,
                              const LoopView&) {
                  if (!answer.ok()) return done(answer.status());
                  again();
                });
  });
}

// The newest complete checkpoint of a suspended job.
absl::StatusOr<std::optional<CheckpointId>> ChooseNewest(
    const ClusterState& state, const std::string& text) {
  const absl::StatusOr<std::string> id = FindJob(state, text);
  if (!id.ok()) return id.status();
  const JobRecord& job = state.jobs.at(*id);
  // The event's handler says what is wrong.
  if (job.info.state() != JOB_STATE_SUSPENDED) return std::nullopt;
  if (const CheckpointInfo* newest = NewestCommitted(job)) return newest->id();
  if (job.info.checkpoints().committed() == 0) return std::nullopt;
  return absl::FailedPreconditionError(absl::StrCat(
      "job ", *id, " has made ", job.info.checkpoints().committed(),
      " checkpoints, and all of them are damaged or deleted; `penstock ckpt "
      "list ",
      *id, " --all` says why; submit it anew"));
}

}  // namespace

void ReadStart(Loop& loop, const std::string& idempotency_key,
               std::shared_ptr<const Plan> plan, Done done) {
  const StartSpec& start = plan->job().start();
  const bool resumes = !start.resume().empty() && start.resume() != "never";
  if (!resumes && start.from().empty()) return done(nullptr);
  if (loop.checkpoints() == nullptr) {
    return done(absl::FailedPreconditionError(
        "start: this coordinator has no checkpoint store; start it with "
        "--checkpoints"));
  }
  loop.Ask([&loop, idempotency_key, plan,
            done = std::move(done)](const LoopView& view) {
    if (view.state.job_of_idempotency_key.contains(idempotency_key)) {
      return done(nullptr);
    }
    const auto id = ChooseStart(view.state, plan->job());
    if (!id.ok()) return done(id.status());
    if (!id->has_value()) return done(nullptr);
    const auto check = [plan, done](StartOrStatus manifest) {
      if (manifest.ok()) {
        const absl::Status fits = CheckStart(plan->job(), **manifest);
        if (!fits.ok()) return done(fits);
      }
      done(std::move(manifest));
    };
    // One that is named and damaged is refused the second time.
    ReadOrAgain(loop, **id, check, [&loop, idempotency_key, plan, done] {
      ReadStart(loop, idempotency_key, plan, done);
    });
  });
}

void ReadNewest(Loop& loop, const std::string& job, Done done) {
  if (loop.checkpoints() == nullptr) return done(nullptr);
  loop.Ask([&loop, job, done = std::move(done)](const LoopView& view) {
    const auto id = ChooseNewest(view.state, job);
    if (!id.ok()) return done(id.status());
    if (!id->has_value()) return done(nullptr);
    ReadOrAgain(loop, **id, done,
                [&loop, job, done] { ReadNewest(loop, job, done); });
  });
}

}  // namespace penstock
