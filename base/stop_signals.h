#ifndef PENSTOCK_BASE_STOP_SIGNALS_H_
#define PENSTOCK_BASE_STOP_SIGNALS_H_

#include <signal.h>

namespace penstock {

// Keeps SIGTERM and SIGINT from this thread and those that it starts later, and
// returns them, for sigwait. For a daemon's `main`, before any thread.
sigset_t BlockStopSignals();

}  // namespace penstock

#endif  // PENSTOCK_BASE_STOP_SIGNALS_H_
