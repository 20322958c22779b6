#ifndef PENSTOCK_STAGE_SERVER_ENGINE_DEVICE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_DEVICE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "stage_server/engine/optimizer.h"

namespace at {
class Tensor;
}
namespace c10 {
struct Device;
}

namespace penstock {

// Equal slices of a stage's flat buffers, all on one device, for one update.
// Pointers are to defined tensors, or null where there is none.
struct UpdateSlices {
  const at::Tensor* master = nullptr;    // float32, written unless next is
  const at::Tensor* gradient = nullptr;  // float32
  const at::Tensor* first_moment = nullptr;
  const at::Tensor* second_moment = nullptr;  // only AdamW
  const at::Tensor* bfloat16_weight = nullptr;
  // Float32: gets the new master instead.
  const at::Tensor* next_master = nullptr;
};

// Where a stage server computes. Everything else in the engine is the same for
// all kinds; the interpreter knows of none.
//
// A stage server has one and uses it from its executor thread. Errors and
// exceptions of libtorch pass through: the engine turns them into statuses.
class Device {
 public:
  virtual ~Device() = default;

  // As the command line names it: "cpu", "cuda:0".
  virtual std::string name() const = 0;

  // Where the engine's tensors live.
  virtual c10::Device torch_device() const = 0;

  // Makes the calling thread ready to compute with `threads` intra-op threads;
  // 0 takes the machine's cores. Part of the numerics on a CPU.
  virtual absl::Status PrepareThread(int threads) = 0;

  // Returns once everything issued by this thread has been computed.
  virtual void Synchronize() = 0;

  // Optimizer::Update on the device's memory. The same bits for any slicing.
  virtual void Update(const Optimizer& optimizer,
                      const UpdateArguments& arguments,
                      const UpdateSlices& slices) = 0;

  // Of a contiguous float32 tensor; as penstock::SumOfSquares promises.
  virtual double SumOfSquares(const at::Tensor& values) = 0;
};

// Makes the device that `name` says, of a kind linked into this binary.
//   NOT_FOUND  no such kind here; says which there are.
absl::StatusOr<std::unique_ptr<Device>> MakeDevice(absl::string_view name);

using DeviceFactory =
    absl::StatusOr<std::unique_ptr<Device>> (*)(absl::string_view name);

// Adds the kind of device whose names are `kind` or begin with "`kind`:". For
// static initialisers of libraries linked with alwayslink. Returns true.
// Requires: the kind was not added before.
bool RegisterDeviceKind(absl::string_view kind, DeviceFactory factory);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_DEVICE_H_
