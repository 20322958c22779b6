#ifndef PENSTOCK_STAGE_SERVER_ENGINE_PEAK_SPEED_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_PEAK_SPEED_H_

#include <map>
#include <string>
#include <utility>

#include "proto/job.pb.h"
#include "stage_server/engine/device.h"

namespace penstock {

// How fast a device multiplies large matrices: what the time of a step's
// arithmetic is compared with. It is measured, not looked up, with the job's
// threads and type, at the first job that has them; that takes some hundredths
// of a second, and a few tenths of a type that the device is slow with.
//
// Used by the executor's thread alone, after an engine of the job was loaded,
// which has set the thread's number of threads.
class PeakSpeed {
 public:
  // `device` must live longer.
  explicit PeakSpeed(Device& device) : device_(device) {}

  // Multiply-adds a second, times two, of the type of the job's weights. 0 of
  // emulated devices, and where libtorch cannot make the product.
  double Of(const Job& job);

 private:
  Device& device_;
  // By threads and type.
  std::map<std::pair<int, std::string>, double> measured_;
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_PEAK_SPEED_H_
