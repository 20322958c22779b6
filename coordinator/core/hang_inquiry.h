#ifndef PENSTOCK_COORDINATOR_CORE_HANG_INQUIRY_H_
#define PENSTOCK_COORDINATOR_CORE_HANG_INQUIRY_H_

#include <optional>

#include "absl/time/time.h"
#include "coordinator/core/turn.h"

namespace penstock {

// How the coordinator finds out why a job hangs; parts of `Step`.
//
// The first rank that waited too long fails the job at once, and with that all
// ranks are told to leave; each says then what it was at. When all have, or
// after `kInquiryTime`, what they said is put together (hang_report.h): it
// becomes the job's reason and an event JOB_HANG.
inline constexpr absl::Duration kInquiryTime = absl::Seconds(2);

// The job has failed because of what `rank` waits for.
void BeginInquiry(JobRecord& job, int rank, const MissingAction& missing,
                  Turn& turn);

// What a server of the job says while the inquiry goes on. Does nothing where
// there is none, or the rank has answered.
void AddAnswer(JobRecord& job, int rank,
               const std::optional<MissingAction>& missing, Turn& turn);

// Ends the inquiries whose time is over.
void EndOverdueInquiries(Turn& turn);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_CORE_HANG_INQUIRY_H_
