#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "stage_server/engine/device.h"
#include "stage_server/engine/gradient_norm.h"

namespace penstock {
namespace {

absl::Span<float> Floats(const at::Tensor* tensor) {
  if (tensor == nullptr) return {};
  return {tensor->data_ptr<float>(), static_cast<size_t>(tensor->numel())};
}

class CpuDevice : public Device {
 public:
  std::string name() const override { return "cpu"; }

  c10::Device torch_device() const override { return c10::Device(at::kCPU); }

  absl::Status PrepareThread(int threads) override {
    if (threads < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("threads is ", threads, ", want at least 0"));
    }
    const int cores =
        std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    at::set_num_threads(threads == 0 ? cores : threads);
    return absl::OkStatus();
  }

  void Synchronize() override {}

  void Update(const Optimizer& optimizer, const UpdateArguments& arguments,
              const UpdateSlices& slices) override {
    absl::Span<uint16_t> weight;
    if (const at::Tensor* const bfloat16 = slices.bfloat16_weight;
        bfloat16 != nullptr) {
      weight = {reinterpret_cast<uint16_t*>(bfloat16->mutable_data_ptr()),
                static_cast<size_t>(bfloat16->numel())};
    }
    optimizer.Update(arguments,
                     {Floats(slices.master), Floats(slices.gradient),
                      Floats(slices.first_moment), Floats(slices.second_moment),
                      weight, Floats(slices.next_master)});
  }

  double SumOfSquares(const at::Tensor& values) override {
    return penstock::SumOfSquares(Floats(&values));
  }
};

absl::StatusOr<std::unique_ptr<Device>> MakeCpuDevice(absl::string_view name) {
  if (name == "cpu") return std::make_unique<CpuDevice>();
  return absl::NotFoundError(absl::StrCat(
      "no device \"", name, "\"; the CPU is one device, named \"cpu\""));
}

[[maybe_unused]] const bool kRegistered =
    RegisterDeviceKind("cpu", MakeCpuDevice);

}  // namespace
}  // namespace penstock
