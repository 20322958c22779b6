// What people ask about checkpoints; the rest of the service is in
// job_service.cc.
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "checkpoint/transfer/grpc_status.h"
#include "checkpoint/transfer/token.h"
#include "coordinator/core/checkpoint_catalog.h"
#include "coordinator/core/job_lookup.h"
#include "coordinator/service/audit.h"
#include "coordinator/service/job_service.h"

namespace penstock {
namespace {

bool IsRemembered(const CheckpointInfo& info) {
  return info.state() == CHECKPOINT_STATE_DELETED ||
         info.state() == CHECKPOINT_STATE_ABANDONED;
}

absl::Status FillList(const ListCheckpointsRequest& request,
                      const LoopView& view, ListCheckpointsResponse& response) {
  std::string only;
  if (!request.job().empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(only, FindJob(view.state, request.job()));
  }
  for (const JobRecord* job : JobsInOrder(view.state)) {
    if (!only.empty() && job->info.id() != only) continue;
    for (const CheckpointInfo& info : job->checkpoints) {
      if (!IsRemembered(info) || request.all()) {
        *response.add_checkpoints() = info;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status NoStore() {
  return absl::FailedPreconditionError(
      "this coordinator has no checkpoint store; start it with --checkpoints");
}

// No job has this id, and a token reads the checkpoints of all.
CheckpointStoreAddress ForReaders(const CheckpointStoreSettings& settings) {
  CheckpointStoreAddress store;
  store.set_address(settings.address);
  store.set_root(settings.root);
  store.set_token(MakeTransferToken(settings.key, {"reader", 0}));
  return store;
}

// Writes how far a verification is, the newest word only, and its end. Keeps
// itself alive until gRPC and the work are done with it.
class VerifyReactor final : public grpc::ServerWriteReactor<VerifyProgress>,
                            public std::enable_shared_from_this<VerifyReactor> {
 public:
  static VerifyReactor* Start(Loop& loop, const std::string& checkpoint) {
    std::shared_ptr<VerifyReactor> reactor(new VerifyReactor(loop));
    reactor->self_ = reactor;
    loop.Ask([reactor, checkpoint](const LoopView& view) {
      reactor->Begin(FindCheckpoint(view.state, checkpoint));
    });
    return reactor.get();
  }

  void OnWriteDone(bool ok) override {
    {
      const MutexLock lock(&mutex_);
      writing_ = false;
      if (!ok) cancelled_ = true;
    }
    Go();
  }

  void OnCancel() override {
    const MutexLock lock(&mutex_);
    cancelled_ = true;
  }

  void OnDone() override { self_.reset(); }

 private:
  explicit VerifyReactor(Loop& loop) : loop_(loop) {}

  void Begin(const absl::StatusOr<CheckpointInfo>& info) {
    if (!info.ok()) return End(info.status());
    if (loop_.checkpoints() == nullptr) return End(NoStore());
    loop_.checkpoints()->Verify(
        info->id(),
        [self = shared_from_this()](int64_t done_bytes, int64_t total_bytes) {
          return self->Report(done_bytes, total_bytes);
        },
        [self = shared_from_this(), id = info->id()](absl::Status status) {
          if (absl::IsDataLoss(status)) self->MarkDamaged(id, status);
          self->End(std::move(status));
        });
  }

  bool Report(int64_t done_bytes, int64_t total_bytes) {
    {
      const MutexLock lock(&mutex_);
      if (cancelled_) return false;
      next_.emplace();
      next_->set_done_bytes(done_bytes);
      next_->set_total_bytes(total_bytes);
    }
    Go();
    return true;
  }

  void MarkDamaged(const CheckpointId& id, const absl::Status& status) {
    loop_.Submit(CheckpointDamaged{id, std::string(status.message())},
                 [](const absl::StatusOr<std::string>&, const LoopView&) {});
  }

  void End(absl::Status status) {
    {
      const MutexLock lock(&mutex_);
      final_ = std::move(status);
    }
    Go();
  }

  // Does what is next, unless a write is under way.
  void Go() {
    std::optional<absl::Status> finish;
    {
      const MutexLock lock(&mutex_);
      if (writing_ || finished_) return;
      if (next_.has_value() && !cancelled_) {
        writing_ = true;
        written_ = *std::exchange(next_, std::nullopt);
      } else if (final_.has_value()) {
        finished_ = true;
        finish = final_;
      } else {
        return;
      }
    }
    if (finish.has_value()) return Finish(ToGrpcStatus(*finish));
    StartWrite(&written_);
  }

  Loop& loop_;
  // Of the write that is under way.
  VerifyProgress written_;

  Mutex mutex_;
  std::optional<VerifyProgress> next_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> final_ ABSL_GUARDED_BY(mutex_);

  std::shared_ptr<VerifyReactor> self_;
};

}  // namespace

grpc::ServerUnaryReactor* JobServiceAdapter::ListCheckpoints(
    grpc::CallbackServerContext* context, const ListCheckpointsRequest* request,
    ListCheckpointsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Ask([=](const LoopView& view) {
    reactor->Finish(ToGrpcStatus(FillList(*request, view, *response)));
  });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::GetCheckpoint(
    grpc::CallbackServerContext* context, const GetCheckpointRequest* request,
    GetCheckpointResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Ask([=, this](const LoopView& view) {
    const auto info = FindCheckpoint(view.state, request->checkpoint());
    if (info.ok()) *response->mutable_info() = *info;
    if (!info.ok() || info->state() != CHECKPOINT_STATE_COMMITTED) {
      reactor->Finish(ToGrpcStatus(info.status()));
      return;
    }
    if (loop_.checkpoints() == nullptr) {
      reactor->Finish(ToGrpcStatus(NoStore()));
      return;
    }
    loop_.checkpoints()->Read(
        info->id(), [=, settings = loop_.checkpoints()->settings()](
                        CheckpointPort::ManifestOrStatus manifest) {
          if (manifest.ok()) {
            *response->mutable_manifest() = **manifest;
            *response->mutable_store() = ForReaders(settings);
          }
          reactor->Finish(ToGrpcStatus(manifest.status()));
        });
  });
  return reactor;
}

grpc::ServerWriteReactor<VerifyProgress>* JobServiceAdapter::VerifyCheckpoint(
    grpc::CallbackServerContext*, const VerifyCheckpointRequest* request) {
  return VerifyReactor::Start(loop_, request->checkpoint());
}

grpc::ServerUnaryReactor* JobServiceAdapter::PinCheckpoint(
    grpc::CallbackServerContext* context, const PinCheckpointRequest* request,
    PinCheckpointResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "PinCheckpoint", request->checkpoint());
  loop_.Submit(
      CheckpointPinRequested{request->fence(), request->checkpoint(),
                             request->pinned()},
      [=](const absl::StatusOr<std::string>& name, const LoopView& view) {
        if (name.ok()) {
          *response->mutable_info() = *FindCheckpoint(view.state, *name);
        }
        reactor->Finish(ToGrpcStatus(name.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* JobServiceAdapter::DeleteCheckpoint(
    grpc::CallbackServerContext* context,
    const DeleteCheckpointRequest* request,
    DeleteCheckpointResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Audit(*context, "DeleteCheckpoint", request->checkpoint());
  loop_.Submit(
      CheckpointDeleteRequested{request->fence(), request->checkpoint(),
                                request->force()},
      [=](const absl::StatusOr<std::string>& name, const LoopView& view) {
        if (name.ok()) {
          *response->mutable_info() = *FindCheckpoint(view.state, *name);
        }
        reactor->Finish(ToGrpcStatus(name.status()));
      });
  return reactor;
}

}  // namespace penstock
