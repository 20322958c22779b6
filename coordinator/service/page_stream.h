#ifndef PENSTOCK_COORDINATOR_SERVICE_PAGE_STREAM_H_
#define PENSTOCK_COORDINATOR_SERVICE_PAGE_STREAM_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "checkpoint/transfer/grpc_status.h"
#include "coordinator/service/loop.h"
#include "grpcpp/support/server_callback.h"

namespace penstock {

template <typename Row>
struct Page {
  std::vector<Row> rows;
  // No row will ever come after these.
  bool is_last = false;
};

// One server-side stream of rows: takes a page from the loop thread, writes it
// out row by row on gRPC's threads, takes the next. A slow reader holds at most
// one page. Keeps itself alive until gRPC is done with it.
template <typename Row>
class PageStream final : public grpc::ServerWriteReactor<Row>,
                         public Watch,
                         public std::enable_shared_from_this<PageStream<Row>> {
 public:
  // Gives the rows that follow the ones it gave before; on the loop thread.
  using Fetch = std::function<absl::StatusOr<Page<Row>>(const LoopView&)>;

  static grpc::ServerWriteReactor<Row>* Start(Loop& loop, Fetch fetch) {
    std::shared_ptr<PageStream> stream(new PageStream(loop, std::move(fetch)));
    stream->self_ = stream;
    loop.AddWatch(stream);
    return stream.get();
  }

  void Pump(const LoopView& view) override {
    {
      const MutexLock lock(&mutex_);
      if (final_status_.has_value() || !rows_.empty()) return;
    }
    absl::StatusOr<Page<Row>> page = fetch_(view);
    if (!page.ok()) return End(page.status());
    if (page->rows.empty()) {
      if (page->is_last) End(absl::OkStatus());
      return;
    }
    const Row* next = nullptr;
    {
      const MutexLock lock(&mutex_);
      if (final_status_.has_value()) return;
      rows_.assign(std::make_move_iterator(page->rows.begin()),
                   std::make_move_iterator(page->rows.end()));
      if (page->is_last) final_status_ = absl::OkStatus();
      next = &rows_.front();
    }
    this->StartWrite(next);
  }

  void End(const absl::Status& status) override {
    {
      const MutexLock lock(&mutex_);
      if (final_status_.has_value() && rows_.empty()) return;
      const bool writing = !rows_.empty();
      final_status_ = status;
      if (writing) {
        // The write that is under way finishes first.
        rows_.resize(1);
        return;
      }
    }
    this->Finish(ToGrpcStatus(status));
  }

  void OnWriteDone(bool ok) override {
    std::optional<absl::Status> finish;
    const Row* next = nullptr;
    {
      const MutexLock lock(&mutex_);
      if (!ok) {
        final_status_ = absl::CancelledError("the client has gone");
        rows_.clear();
      } else {
        rows_.pop_front();
      }
      if (rows_.empty()) {
        finish = final_status_;
      } else {
        next = &rows_.front();
      }
    }
    if (next != nullptr) return this->StartWrite(next);
    if (finish.has_value()) return this->Finish(ToGrpcStatus(*finish));
    loop_.WakeWatches();
  }

  void OnCancel() override { End(absl::CancelledError("the client has gone")); }

  void OnDone() override { self_.reset(); }

 private:
  PageStream(Loop& loop, Fetch fetch) : loop_(loop), fetch_(std::move(fetch)) {}

  Loop& loop_;
  const Fetch fetch_;

  Mutex mutex_;
  // The front one is being written.
  std::deque<Row> rows_ ABSL_GUARDED_BY(mutex_);
  // How the stream ends once `rows_` is empty.
  std::optional<absl::Status> final_status_ ABSL_GUARDED_BY(mutex_);

  std::shared_ptr<PageStream> self_;
};

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_SERVICE_PAGE_STREAM_H_
