#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/core/job_machine.h"

namespace penstock {
namespace {

std::string Text(JobTrigger trigger) {
  switch (trigger) {
    case JobTrigger::kAccepted:
      return "accepted: planned and durable";
    case JobTrigger::kServersFound:
      return "servers found: enough are idle";
    case JobTrigger::kAssigned:
      return "assigned: epoch and servers are durable";
    case JobTrigger::kAllLoaded:
      return "all loaded: every rank has a data address";
    case JobTrigger::kAllReady:
      return "all ready: every channel is connected";
    case JobTrigger::kRankFinished:
      return "rank finished: the first one";
    case JobTrigger::kAllFinished:
      return "all finished: digests cover the model";
    case JobTrigger::kFault:
      return "fault: a rank's error, or a loss beyond `restart.limit`";
    case JobTrigger::kLost:
      return "lost: a server or a channel, within `restart.limit`";
    case JobTrigger::kRelieved:
      return "relieved: a server leaves, and its checkpoint is complete";
    case JobTrigger::kResized:
      return "resized: servers for more stages, and a checkpoint is complete";
    case JobTrigger::kRecovered:
      return "recovered: servers have left, and it is clear what to start from";
    case JobTrigger::kCancel:
      return "cancel: someone asked";
    case JobTrigger::kSuspend:
      return "suspend: someone asked";
    case JobTrigger::kSuspended:
      return "suspended: the checkpoint to go on from is complete";
    case JobTrigger::kNotSuspended:
      return "not suspended: that checkpoint could not be kept, or need not be";
    case JobTrigger::kResume:
      return "resume: someone asked";
    case JobTrigger::kStartDamaged:
      return "start damaged: its checkpoint is, and there is an older one";
    case JobTrigger::kReleased:
      return "released: no server works for it any more";
    case JobTrigger::kRestarted:
      return "restarted: a coordinator started and found it";
  }
  return "";
}

std::string Text(JobEffect effect) {
  switch (effect) {
    case JobEffect::kBeginEpoch:
      return "epoch + 1";
    case JobEffect::kReserveServers:
      return "servers take ranks";
    case JobEffect::kStampStart:
      return "note the start";
    case JobEffect::kStampEnd:
      return "note the end";
    case JobEffect::kDigestWeights:
      return "make the weights digest";
    case JobEffect::kEndCheckpoints:
      return "give up an unfinished checkpoint, refuse more uploads";
    case JobEffect::kSendDesired:
      return "tell servers the next goal";
    case JobEffect::kReleaseServers:
      return "tell servers to be idle";
  }
  return "";
}

std::string Text(ServerTrigger trigger) {
  switch (trigger) {
    case ServerTrigger::kRegistered:
      return "registered";
    case ServerTrigger::kHeard:
      return "heard: session opened or spoke again";
    case ServerTrigger::kSilent:
      return "silent: session broke, or nothing for suspect-after";
    case ServerTrigger::kGone:
      return "gone: nothing for lost-after";
    case ServerTrigger::kAssigned:
      return "assigned a rank";
    case ServerTrigger::kReady:
      return "ready: channels connected";
    case ServerTrigger::kRun:
      return "its job runs";
    case ServerTrigger::kReleased:
      return "released: said that it is idle";
  }
  return "";
}

std::string Text(DutyTrigger trigger) {
  switch (trigger) {
    case DutyTrigger::kCordon:
      return "cordon: someone asked";
    case DutyTrigger::kDrain:
      return "drain: someone asked";
    case DutyTrigger::kUncordon:
      return "uncordon: someone asked";
    case DutyTrigger::kDrained:
      return "drained: no job has a rank on it any more";
  }
  return "";
}

std::string TextOf(ServerDuty duty) {
  return duty == SERVER_DUTY_UNSPECIFIED ? "takes ranks" : Name(duty);
}

std::string Text(CheckpointTrigger trigger) {
  switch (trigger) {
    case CheckpointTrigger::kAllDurable:
      return "all durable: every rank's files are, and cover the model";
    case CheckpointTrigger::kCommitted:
      return "committed: COMMIT is durable";
    case CheckpointTrigger::kGivenUp:
      return "given up: it will not become complete";
    case CheckpointTrigger::kDamaged:
      return "damaged: someone who read it says so";
    case CheckpointTrigger::kExpired:
      return "expired: nothing keeps it, or someone asked";
    case CheckpointTrigger::kRemoved:
      return "removed: its files are gone";
  }
  return "";
}

constexpr char kHead[] = R"(# State machines

Printed from the tables of `coordinator/core/job_machine.cc`;
`//coordinator/core:job_machine_test` compares them, and says how to print this
page again. What is not listed changes nothing.

## Jobs

A job's terminal states are SUCCEEDED, CANCELLED and FAILED. Every transition is
durable, with its entry `JOB_<STATE>` in the event log, before a server hears of
it.

| from | when | to | then |
|---|---|---|---|
)";

constexpr char kServersHead[] = R"(
## Servers

While a server is SUSPECT, what it was doing goes on beneath the suspicion and
shows again when it is heard.

| from | when | to | event log |
|---|---|---|---|
)";

constexpr char kDutiesHead[] = R"(
Beside that stands what operators want of a server. It stays when the server or
the coordinator restarts; CORDONED and DRAINING take no rank.

| from | when | to | event log |
|---|---|---|---|
)";

constexpr char kCheckpointsHead[] = R"(
## Checkpoints

A checkpoint is PREPARING from the first rank's snapshot on; a job has one such
at most. Every transition is durable, with its entry `CHECKPOINT_<STATE>` in the
event log.

| from | when | to |
|---|---|---|
)";

}  // namespace

std::string StateMachinesPage() {
  std::string page = kHead;
  for (const JobTransition& row : JobTransitions()) {
    absl::StrAppend(&page, "| ", Name(row.from), " | ", Text(row.trigger),
                    " | ", Name(row.to), " | ",
                    absl::StrJoin(row.effects, ", ",
                                  [](std::string* out, JobEffect effect) {
                                    absl::StrAppend(out, Text(effect));
                                  }),
                    " |\n");
  }
  page += kServersHead;
  for (const ServerTransition& row : ServerTransitions()) {
    absl::StrAppend(&page, "| ", Name(row.from), " | ", Text(row.trigger),
                    " | ", row.to ? Name(*row.to) : "what it was doing", " | ",
                    row.event, " |\n");
  }
  page += kDutiesHead;
  for (const DutyTransition& row : DutyTransitions()) {
    absl::StrAppend(&page, "| ", TextOf(row.from), " | ", Text(row.trigger),
                    " | ", TextOf(row.to), " | ", row.event, " |\n");
  }
  page += kCheckpointsHead;
  for (const CheckpointTransition& row : CheckpointTransitions()) {
    absl::StrAppend(&page, "| ", Name(row.from), " | ", Text(row.trigger),
                    " | ", Name(row.to), " |\n");
  }
  return page;
}

}  // namespace penstock
