#ifndef PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_VERTICAL_H_
#define PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_VERTICAL_H_

#include "schedule/generators/generator.h"

namespace penstock {

// "pipedream_vertical": pipedream's order with one replica a stage and vertical
// sync (Narayanan et al., PipeDream, 2019, section 3.3). A microbatch's version
// is fixed when it enters: max(0, b - (p-1)) at every stage, so that all stages
// compute with weights of the same age; p versions are kept everywhere. The
// number of microbatches is a period's length only.
GeneratorInfo PipedreamVerticalGenerator();

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_GENERATORS_PIPEDREAM_VERTICAL_H_
