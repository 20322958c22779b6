#ifndef PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_VERSION_H_
#define PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_VERSION_H_

#include <string>

namespace penstock {

// "1.13.1": of the UCX that is loaded.
std::string UcxVersion();

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_TRANSPORT_UCX_UCX_VERSION_H_
