#include "schedule/simulator/chrome_trace.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "schedule/ir/text_format.h"
#include "schedule/simulator/memory.h"

namespace penstock {
namespace {

std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      quoted.push_back('\\');
      quoted.push_back(letter);
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      absl::StrAppendFormat(&quoted, "\\u%04x", letter);
    } else {
      quoted.push_back(letter);
    }
  }
  quoted.push_back('"');
  return quoted;
}

// The format's times are microseconds.
std::string Micros(double seconds) {
  return absl::StrFormat("%.3f", seconds * 1e6);
}

// What the viewer filters and colours by.
absl::string_view CategoryOf(Op op) {
  switch (op) {
    case Op::kForward:
      return "forward";
    case Op::kBackward:
    case Op::kBackwardInput:
    case Op::kBackwardWeight:
      return "backward";
    case Op::kRecompute:
      return "recompute";
    case Op::kUpdate:
      return "update";
    case Op::kReduceGradient:
    case Op::kAgreeNorm:
      return "collective";
    default:
      return "communication";
  }
}

std::string ArgumentsOf(const Action& action) {
  std::string text = "{";
  const auto add = [&text](absl::string_view name, int64_t value) {
    absl::StrAppend(&text, text.size() > 1 ? "," : "", Quoted(name), ":",
                    value);
  };
  if (action.stage.value() >= 0) add("stage", action.stage.value());
  if (action.microbatch.value() >= 0) {
    add("microbatch", action.microbatch.value());
  }
  if (action.version.has_value()) add("version", *action.version);
  return absl::StrCat(text, "}");
}

class Trace {
 public:
  void AddRun(int process, const RunView& run) {
    Name("process_name", process, 0, run.Title());
    for (int rank = 0; rank < run.schedule->num_ranks(); ++rank) {
      Name("thread_name", process, rank, absl::StrCat("r", rank));
      AddRank(process, rank, run);
    }
    for (const Transfer& transfer : run.timeline->transfers) {
      AddTransfer(process, transfer);
    }
  }

  std::string Take() && {
    return absl::StrCat("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n",
                        text_, "\n]}\n");
  }

 private:
  // The fields that every event has; `more` begins with a comma.
  void Add(absl::string_view phase, int process, int thread,
           const std::string& more) {
    absl::StrAppend(&text_, text_.empty() ? "" : ",\n", "{\"ph\":\"", phase,
                    "\",\"pid\":", process, ",\"tid\":", thread, more, "}");
  }

  void Name(absl::string_view what, int process, int thread,
            absl::string_view name) {
    Add("M", process, thread,
        absl::StrCat(",\"name\":\"", what,
                     "\",\"args\":{\"name\":", Quoted(name), "}"));
  }

  void AddRank(int process, int rank, const RunView& run) {
    const std::vector<TimelineEvent>& events = run.timeline->ranks[rank];
    for (size_t i = 0; i < events.size(); ++i) {
      const Action& action = run.schedule->ranks[rank][i];
      const TimelineEvent& event = events[i];
      // Sends only post: nothing to see.
      if (event.end < 0 || (event.end <= event.start && !IsCompute(action.op) &&
                            action.op != Op::kUpdate)) {
        continue;
      }
      Add("X", process, rank,
          absl::StrCat(
              ",\"name\":", Quoted(ToString(action, run.schedule->edges)),
              ",\"cat\":\"", CategoryOf(action.op), "\",\"ts\":",
              Micros(event.start), ",\"dur\":", Micros(event.end - event.start),
              ",\"args\":", ArgumentsOf(action)));
    }
    for (const MemoryPoint& point :
         MemoryOverTime(*run.schedule, *run.timeline, RankId(rank), nullptr)) {
      Add("C", process, rank,
          absl::StrCat(",\"name\":\"in flight r", rank,
                       "\",\"ts\":", Micros(point.time),
                       ",\"args\":{\"microbatches\":", point.in_flight, "}"));
    }
  }

  void AddTransfer(int process, const Transfer& transfer) {
    if (transfer.end < 0) return;
    const std::string common = absl::StrCat(
        ",\"name\":\"", transfer.backward ? "gradient" : "activation",
        "\",\"cat\":\"message\",\"id\":", ++messages_);
    Add("s", process, transfer.from.value(),
        absl::StrCat(common, ",\"ts\":", Micros(transfer.start)));
    Add("f", process, transfer.to.value(),
        absl::StrCat(common, ",\"bp\":\"e\",\"ts\":", Micros(transfer.end)));
  }

  std::string text_;
  int64_t messages_ = 0;
};

}  // namespace

std::string ChromeTrace(absl::Span<const RunView> runs) {
  Trace trace;
  int process = 0;
  for (const RunView& run : runs) trace.AddRun(process++, run);
  return std::move(trace).Take();
}

}  // namespace penstock
