#include "stage_server/checkpoint/snapshot_writer.h"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "stage_server/checkpoint/shard_files.h"

namespace penstock {
SnapshotWriter::SnapshotWriter(ShardStore& store, Sink sink)
    : store_(store), sink_(std::move(sink)), thread_([this] { Loop(); }) {}

SnapshotWriter::~SnapshotWriter() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.SignalAll();
  }
  store_.Cancel(absl::CancelledError("the epoch has been left"));
  thread_.join();
}

void SnapshotWriter::Write(CheckpointId checkpoint, std::string plan_hash,
                           EngineSnapshot snapshot) {
  // Destroyed after the lock is given back: it holds much memory.
  std::optional<Order> order =
      Order{std::move(checkpoint), std::move(plan_hash), std::move(snapshot),
            MonotonicNanos()};
  MutexLock lock(&mutex_);
  ++num_orders_;
  wanted_step_ = order->checkpoint.step();
  std::swap(next_, order);
  wake_.SignalAll();
}

void SnapshotWriter::AbandonOthers(int64_t step) {
  std::optional<Order> given_up;
  MutexLock lock(&mutex_);
  if (!wanted_step_.has_value() || *wanted_step_ == step) return;
  wanted_step_.reset();
  std::swap(next_, given_up);
}

absl::Status SnapshotWriter::Interrupted(int64_t number) {
  MutexLock lock(&mutex_);
  if (!stopping_ && wanted_step_.has_value() && number == num_orders_) {
    return absl::OkStatus();
  }
  return absl::CancelledError("the snapshot was given up");
}

void SnapshotWriter::Loop() {
  while (true) {
    std::optional<Order> order;
    int64_t number = 0;
    {
      MutexLock lock(&mutex_);
      while (!next_.has_value() && !stopping_) wake_.Wait(&mutex_);
      if (stopping_) return;
      order = std::exchange(next_, std::nullopt);
      number = num_orders_;
    }
    ShardReport report = Run(*order, number);
    // Before the report: who hears it may ask for the next one, which then
    // finds the memory free.
    order.reset();
    if (Interrupted(number).ok()) sink_(std::move(report));
  }
}

ShardReport SnapshotWriter::Run(const Order& order, int64_t number) {
  ShardReport report;
  *report.mutable_checkpoint() = order.checkpoint;
  *report.mutable_state() = order.snapshot.state;
  report.set_plan_hash(order.plan_hash);
  absl::StatusOr<std::vector<ShardFile>> files =
      WriteFiles(order.snapshot, order.checkpoint, store_,
                 [&] { return Interrupted(number); });
  if (files.ok()) {
    report.mutable_files()->Assign(files->begin(), files->end());
  } else {
    report.set_error(std::string(files.status().message()));
  }
  report.set_upload_nanos(MonotonicNanos() - order.start_nanos);
  return report;
}

}  // namespace penstock
