#ifndef PENSTOCK_TESTS_SIMULATION_HOST_H_
#define PENSTOCK_TESTS_SIMULATION_HOST_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "proto/stage_service.pb.h"
#include "tests/simulation/stage_process.h"

namespace penstock::simulation {

// The place of one stage server: has one process after the other.
class Host : public StageProcess::Outside {
 public:
  // The world it is in.
  class Surroundings {
   public:
    virtual ~Surroundings() = default;
    virtual void Register(Host& host, const RegisterRequest& request) = 0;
    virtual void OpenSession(Host& host, int64_t number) = 0;
    virtual void Send(Host& host, const StageMessage& message) = 0;
    virtual void CloseSession(Host& host) = 0;
    virtual void Exited(Host& host) = 0;
    virtual StageProcess* MemoryAt(const std::string& address) = 0;
  };

  Host(Surroundings& world, std::string id)
      : id(std::move(id)), world_(world) {}

  const std::string id;
  // Null while it has none.
  std::unique_ptr<StageProcess> process;
  uint64_t incarnation = 0;
  // The session of the process that was opened last; 0 before.
  uint64_t session = 0;
  // Grows with each call of Register; 0 while none is under way.
  int64_t registering = 0;
  int64_t last_registration = 0;
  absl::Time frozen_until = absl::InfinitePast();
  absl::Time cut_off_until = absl::InfinitePast();
  // When its process is to be woken; and whether it is to be destroyed.
  absl::Time wake_at = absl::InfiniteFuture();
  bool has_exited = false;
  // So many old messages come again, until then.
  int replays = 0;
  absl::Time replay_until = absl::InfinitePast();
  // What its processes have said, the newest last.
  std::deque<StageMessage> said;

 private:
  void Register(const RegisterRequest& request) override {
    world_.Register(*this, request);
  }
  void OpenSession(int64_t number) override {
    world_.OpenSession(*this, number);
  }
  void Send(const StageMessage& message) override {
    world_.Send(*this, message);
  }
  void CloseSession() override { world_.CloseSession(*this); }
  void Exit() override { world_.Exited(*this); }
  StageProcess* MemoryAt(const std::string& address) override {
    return world_.MemoryAt(address);
  }

  Surroundings& world_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_HOST_H_
