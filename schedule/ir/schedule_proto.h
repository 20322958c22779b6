#ifndef PENSTOCK_SCHEDULE_IR_SCHEDULE_PROTO_H_
#define PENSTOCK_SCHEDULE_IR_SCHEDULE_PROTO_H_

#include "absl/status/statusor.h"
#include "proto/schedule.pb.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// The schedule as a message. FromProto(ToProto(s)) == s for every schedule that
// prints (text_format.h).
wire::Schedule ToProto(const Schedule& schedule);

// Reads a message that may come from anywhere: the answer can be printed and
// indexed without further checks of names, signs and edge indices; whether it
// is sound is the verifier's to say.
//   INVALID_ARGUMENT  an unknown op or kind, a missing or superfluous field, a
//                     negative number, a bad name or edge index; says where
//                     ("rank 1, action 7: ...").
absl::StatusOr<Schedule> FromProto(const wire::Schedule& proto);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_IR_SCHEDULE_PROTO_H_
