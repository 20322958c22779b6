#ifndef PENSTOCK_BASE_VERSION_H_
#define PENSTOCK_BASE_VERSION_H_

namespace penstock {

// Coordinator and stage servers must have the same one to work together.
inline constexpr char kBuildVersion[] = "0.1.0";

}  // namespace penstock

#endif  // PENSTOCK_BASE_VERSION_H_
