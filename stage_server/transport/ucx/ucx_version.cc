#include "stage_server/transport/ucx/ucx_version.h"

#include <ucp/api/ucp.h>

namespace penstock {

std::string UcxVersion() { return ucp_get_version_string(); }

}  // namespace penstock
