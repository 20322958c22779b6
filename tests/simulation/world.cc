#include "tests/simulation/world.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/simulation/training.h"

namespace penstock::simulation {
namespace {

const absl::Time kBegin = absl::FromUnixSeconds(1'000'000);
constexpr absl::Duration kNearest = absl::Milliseconds(1);
constexpr absl::Duration kFarthest = absl::Milliseconds(30);
// Of an end of a stream that hears nothing any more.
constexpr absl::Duration kLeastKeepalive = absl::Seconds(2);
constexpr absl::Duration kMostKeepalive = absl::Seconds(15);
constexpr absl::Duration kCallDeadline = absl::Seconds(5);
// After everything is mended.
constexpr absl::Duration kPatience = absl::Minutes(30);
constexpr int kMostEventsAfter = 20'000;
constexpr size_t kRemembered = 60;
constexpr int kOneInLost = 60;

absl::Status Gone(const std::string& why) {
  return absl::UnavailableError(why);
}

}  // namespace

World::World(const Scenario& scenario, const RunOptions& options)
    : scenario_(scenario),
      options_(options),
      dice_(scenario.seed, {NameKey("world")}),
      now_(kBegin),
      auditor_(files_, {scenario.is_lossy}),
      stalled_until_(kBegin),
      slow_until_(kBegin) {
  for (int i = 1; i <= scenario_.servers; ++i) {
    const std::string id = absl::StrCat("s", i);
    hosts_[id] = std::make_unique<Host>(*this, id);
  }
}

World::~World() = default;

RunResult World::Run() {
  StartCoordinator();
  for (auto& [id, host] : hosts_) {
    After(dice_.Between(absl::ZeroDuration(), absl::Seconds(1)),
          [this, host = host.get()] { StartHost(*host); });
  }
  for (const Action& action : scenario_.actions) {
    Schedule(kBegin + action.at, [this, &action] {
      ++actions_done_;
      if (!is_mended_) Act(action);
    });
  }
  absl::Time give_up = absl::InfiniteFuture();
  int last_event = scenario_.events + kMostEventsAfter;
  while (!timetable_.empty() && !auditor_.violation()) {
    const int events =
        past_events_ + (coordinator_ ? coordinator_->events() : 0);
    const bool is_done = actions_done_ == scenario_.actions.size() && IsOver();
    if (is_mended_ && is_done) break;
    if (!is_mended_ && (is_done || events >= scenario_.events)) {
      Mend();
      give_up = now_ + kPatience;
      last_event = events + kMostEventsAfter;
    }
    if (now_ > give_up || events > last_event) break;
    now_ = std::max(now_, timetable_.next());
    timetable_.Take()();
    WakeHosts();
    CollectViolations();
  }
  if (!auditor_.violation() && coordinator_ != nullptr) {
    auditor_.AtEnd(coordinator_->state());
  }
  RunResult result;
  result.violation = auditor_.violation();
  result.events = past_events_ + (coordinator_ ? coordinator_->events() : 0);
  result.seen = auditor_.seen();
  return result;
}

void World::CollectViolations() {
  if (!plane_.violation().empty()) {
    auditor_.Report("one process has a rank, and all ranks the same start",
                    plane_.violation());
  }
  if (!files_.violation().empty()) {
    auditor_.Report("only the present epoch has effects", files_.violation());
  }
}

void World::Schedule(absl::Time at, std::function<void()> what) {
  timetable_.Add(std::max(at, now_), std::move(what));
}

void World::After(absl::Duration time, std::function<void()> what) {
  Schedule(now_ + time, std::move(what));
}

void World::Trace(const std::string& text) {
  if (options_.trace == nullptr) return;
  options_.trace->push_back(
      absl::StrFormat("%8.3f %s", absl::ToDoubleSeconds(now_ - kBegin), text));
}

Host* World::HostOf(const std::string& id) { return hosts_.at(id).get(); }

// ---- Processes of stage servers -------------------------------------------

void World::StartHost(Host& host) {
  if (host.process != nullptr) return;
  host.incarnation = ++last_incarnation_;
  host.registering = 0;
  host.session = 0;
  host.has_exited = false;
  Trace(absl::StrCat(host.id, " starts, process ", host.incarnation));
  // Two of them share a host, for copies of states in memory.
  const std::string machine =
      host.id == "s2" ? "machine-s1" : absl::StrCat("machine-", host.id);
  host.process = std::make_unique<StageProcess>(
      StageProcess::Identity{host.id, machine, host.incarnation, kBuild},
      scenario_.seed, host, plane_, files_);
  host.process->Start(now_);
}

void World::InHost(Host& host, absl::Duration after,
                   std::function<void(StageProcess&)> what) {
  After(after,
        [this, &host, incarnation = host.incarnation, what = std::move(what)] {
          RunInHost(host, incarnation, what);
        });
}

void World::RunInHost(Host& host, uint64_t incarnation,
                      const std::function<void(StageProcess&)>& what) {
  if (host.incarnation != incarnation || host.process == nullptr) return;
  if (now_ < host.frozen_until) {
    Schedule(host.frozen_until, [this, &host, incarnation, what] {
      RunInHost(host, incarnation, what);
    });
    return;
  }
  what(*host.process);
}

void World::WakeHosts() {
  for (auto& [id, host] : hosts_) {
    if (host->has_exited) {
      Kill(*host, 1);
      continue;
    }
    if (host->process == nullptr) continue;
    const absl::Time at =
        std::max({now_, host->frozen_until, host->process->next_wake()});
    if (at >= host->wake_at && host->wake_at >= now_) continue;
    host->wake_at = at;
    if (at == absl::InfiniteFuture()) continue;
    Schedule(at, [this, host = host.get(), at] {
      if (host->wake_at != at || host->process == nullptr) return;
      host->wake_at = absl::InfiniteFuture();
      if (now_ >= host->frozen_until) host->process->Wake(now_);
    });
  }
}

void World::Exited(Host& host) {
  Trace(absl::StrCat(host.id, " exits"));
  host.has_exited = true;
}

StageProcess* World::MemoryAt(const std::string& address) {
  for (auto& [id, host] : hosts_) {
    if (address == absl::StrCat(id, "/", host->incarnation) &&
        now_ >= host->frozen_until) {
      return host->process.get();
    }
  }
  return nullptr;
}

// ---- Register -------------------------------------------------------------

bool World::IsCutOff(const Host& host) const {
  return now_ < host.cut_off_until;
}

void World::Register(Host& host, const RegisterRequest& request) {
  host.registering = ++host.last_registration;
  const int64_t call = host.registering;
  const auto fail = [this, &host, call](absl::Duration after,
                                        const absl::Status& why) {
    InHost(host, after, [this, &host, call, why](StageProcess& process) {
      if (host.registering != call) return;
      host.registering = 0;
      process.RegisterFailed(why, now_);
    });
  };
  if (IsCutOff(host)) return fail(kCallDeadline, Gone("no answer"));
  const bool is_doubled = scenario_.is_lossy && !is_mended_ && dice_.OneIn(20);
  After(dice_.Between(kNearest, kFarthest), [=, this, &host] {
    if (coordinator_ == nullptr || IsCutOff(host)) {
      return fail(absl::Milliseconds(20), Gone("connection refused"));
    }
    const ServerRegistered event{request, absl::StrCat("ipv4:", host.id),
                                 kBuild};
    if (is_doubled) Submit(event);
    Submit(event, [=, this, &host](const absl::StatusOr<std::string>& answer) {
      if (IsCutOff(host)) return;
      RegisterResponse response;
      response.set_coordinator_term(coordinator_->state().term);
      response.set_heartbeat_seconds(1);
      response.set_grace_seconds(1800);
      InHost(host, dice_.Between(kNearest, kFarthest),
             [=, this, &host](StageProcess& process) {
               if (host.registering != call) return;
               host.registering = 0;
               if (answer.ok()) {
                 process.Registered(response, now_);
               } else {
                 process.RegisterFailed(answer.status(), now_);
               }
             });
    });
    fail(kCallDeadline, absl::DeadlineExceededError("no answer in time"));
  });
}

// ---- Sessions, upward -----------------------------------------------------

void World::OpenSession(Host& host, int64_t number) {
  host.session = ++last_session_;
  Session& session = sessions_[host.session];
  session.server_id = host.id;
  session.number = number;
  session.incarnation = host.incarnation;
  session.generation = generation_;
  Trace(absl::StrCat(host.id, " opens session ", host.session));
  if (coordinator_ == nullptr || IsCutOff(host)) {
    session.is_open_at_coordinator = false;
    BreakServerSide(host.session, Gone("cannot connect"),
                    absl::Milliseconds(20));
  }
}

void World::Send(Host& host, const StageMessage& message) {
  host.said.push_back(message);
  if (host.said.size() > kRemembered) host.said.pop_front();
  if (host.replays > 0 && now_ < host.replay_until && !is_mended_) {
    After(kFarthest, [this, &host] { Replay(host); });
  }
  const auto found = sessions_.find(host.session);
  if (found == sessions_.end() || !found->second.is_open_at_server) return;
  Session& session = found->second;
  const uint64_t id = host.session;
  const bool may_err =
      scenario_.is_lossy && !is_mended_ && !message.has_hello();
  if (may_err && dice_.OneIn(kOneInLost)) return;
  if (may_err && dice_.OneIn(kOneInLost)) {
    After(dice_.Between(absl::Milliseconds(100), absl::Seconds(3)),
          [this, id, message] { Deliver(id, message); });
    return;
  }
  const int copies = may_err && dice_.OneIn(kOneInLost) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    session.up.push_back(message);
    After(dice_.Between(kNearest, kFarthest), [this, id] { DeliverUp(id); });
  }
}

void World::CloseSession(Host& host) {
  const auto found = sessions_.find(host.session);
  if (found == sessions_.end()) return;
  found->second.up.push_back(std::nullopt);
  After(kFarthest, [this, id = host.session] { DeliverUp(id); });
}

void World::DeliverUp(uint64_t id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second.up.empty()) return;
  Session& session = found->second;
  const Host& host = *HostOf(session.server_id);
  if (IsCutOff(host)) {
    Schedule(host.cut_off_until, [this, id] { DeliverUp(id); });
    return;
  }
  std::optional<StageMessage> message = std::move(session.up.front());
  session.up.pop_front();
  if (message) return Deliver(id, *message);
  BreakCoordinatorSide(id, "the stage server hung up", absl::ZeroDuration());
}

// The adapter's part: coordinator/service/stage_control.cc.
void World::Deliver(uint64_t id, const StageMessage& message) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || coordinator_ == nullptr) return;
  Session& session = found->second;
  if (session.generation != generation_ || !session.is_open_at_coordinator) {
    return;
  }
  const auto reply = [this, id](const absl::StatusOr<std::string>& answer) {
    if (!answer.ok()) End(id, answer.status());
  };
  if (!message.has_heartbeat()) {
    Trace(absl::StrCat(session.server_id, " says {",
                       message.ShortDebugString().substr(0, 200), "}"));
  }
  if (session.has_begun) return Submit(SessionSpoke{id, message}, reply);
  if (!message.has_hello()) return;
  session.has_begun = true;
  Submit(SessionOpened{id, message.fence(), message.incarnation(),
                       message.hello().server_id()},
         reply);
}

// ---- Sessions, downward ---------------------------------------------------

void World::Send(uint64_t id, const CoordinatorMessage& message) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || !found->second.is_open_at_coordinator) return;
  Session& session = found->second;
  if (message.has_desired()) {
    const DesiredState& desired = message.desired();
    Trace(absl::StrCat("  to ", session.server_id, ": ",
                       DesiredState::Goal_Name(desired.goal()), " ",
                       desired.job_id(), " epoch ", message.fence().job_epoch(),
                       " snapshot ", desired.snapshot_step()));
  }
  if (scenario_.is_lossy && !is_mended_ && dice_.OneIn(kOneInLost)) return;
  // The one that is being written goes; the newest of those that wait.
  for (size_t i = 1; i < session.down.size(); ++i) {
    if (session.down[i].has_desired() != message.has_desired()) continue;
    session.down[i] = message;
    return;
  }
  session.down.push_back(message);
  After(dice_.Between(kNearest, kFarthest), [this, id] { DeliverDown(id); });
}

void World::DeliverDown(uint64_t id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second.down.empty()) return;
  Session& session = found->second;
  Host& host = *HostOf(session.server_id);
  const absl::Time free_at = std::max(host.cut_off_until, host.frozen_until);
  if (now_ < free_at) {
    Schedule(free_at, [this, id] { DeliverDown(id); });
    return;
  }
  const CoordinatorMessage message = std::move(session.down.front());
  session.down.pop_front();
  if (!session.is_open_at_server || host.process == nullptr ||
      host.incarnation != session.incarnation) {
    return;
  }
  host.process->Receive(session.number, message, now_);
}

void World::End(uint64_t id, const absl::Status& why) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  found->second.is_open_at_coordinator = false;
  found->second.down.clear();
  BreakServerSide(id, why, dice_.Between(kNearest, kFarthest));
  BreakCoordinatorSide(id, "the session ended", kFarthest);
}

// ---- Ends of sessions -----------------------------------------------------

void World::BreakServerSide(uint64_t id, const absl::Status& why,
                            absl::Duration after) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Host& host = *HostOf(found->second.server_id);
  const uint64_t incarnation = found->second.incarnation;
  After(after, [this, id, why, &host, incarnation] {
    if (IsCutOff(host) && why.message() != "keepalive") {
      // The word of it does not come through; keepalive will tell.
      return BreakServerSide(id, Gone("keepalive"), kLeastKeepalive);
    }
    RunInHost(host, incarnation, [this, id, why](StageProcess& process) {
      const auto session = sessions_.find(id);
      if (session == sessions_.end() || !session->second.is_open_at_server) {
        return;
      }
      session->second.is_open_at_server = false;
      process.SessionEnded(session->second.number, why, now_);
    });
  });
}

void World::BreakCoordinatorSide(uint64_t id, const std::string& why,
                                 absl::Duration after) {
  After(after, [this, id, why] {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    found->second.is_open_at_coordinator = false;
    if (found->second.generation == generation_) {
      Submit(SessionClosed{id, why});
    }
  });
}

void World::BreakSession(Host& host) {
  if (host.session == 0) return;
  const uint64_t id = host.session;
  BreakServerSide(id, Gone("connection reset"),
                  dice_.Between(kNearest, absl::Milliseconds(500)));
  BreakCoordinatorSide(id, "connection reset",
                       dice_.Between(kNearest, absl::Seconds(2)));
}

void World::BeginPartition(Host& host, double seconds) {
  host.cut_off_until =
      std::max(host.cut_off_until, now_ + absl::Seconds(seconds));
  if (host.session == 0) return;
  const uint64_t id = host.session;
  const auto keepalive = [this] {
    return dice_.Between(kLeastKeepalive, kMostKeepalive);
  };
  // Whoever notices while it lasts; a short one is not noticed.
  After(keepalive(), [this, id, &host] {
    if (!IsCutOff(host)) return;
    BreakServerSide(id, Gone("keepalive"), absl::ZeroDuration());
    Schedule(host.cut_off_until, [this, id] {
      BreakCoordinatorSide(id, "connection reset", kFarthest);
    });
  });
  After(keepalive(), [this, id, &host] {
    if (!IsCutOff(host)) return;
    BreakCoordinatorSide(id, "keepalive", absl::ZeroDuration());
    Schedule(host.cut_off_until, [this, id] {
      BreakServerSide(id, Gone("connection reset"), kFarthest);
    });
  });
}

RunResult RunScenario(const Scenario& scenario, const RunOptions& options) {
  return World(scenario, options).Run();
}

}  // namespace penstock::simulation
