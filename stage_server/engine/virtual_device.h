#ifndef PENSTOCK_STAGE_SERVER_ENGINE_VIRTUAL_DEVICE_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_VIRTUAL_DEVICE_H_

#include <cstdint>

namespace penstock {

// A device that computes nothing and takes its time over it: one action after
// the other, each for as long as it is told, with the processor free for
// others. So more ranks than a machine has cores can be timed on it.
//
// Used by one thread, which it tunes to wake on time.
class VirtualDevice {
 public:
  VirtualDevice();

  // Returns `seconds` from now; late by what the kernel takes to run a thread
  // again once it may.
  void Occupy(double seconds);
};

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_VIRTUAL_DEVICE_H_
