#ifndef PENSTOCK_TESTS_SIMULATION_DATA_PLANE_H_
#define PENSTOCK_TESTS_SIMULATION_DATA_PLANE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace penstock::simulation {

// Who has which rank of which epoch, and how far each is: what the ranks of a
// job know of each other over their channels. Also sees what must never be:
// two processes in one rank of one epoch, and ranks of one epoch that began
// with different states.
class DataPlane {
 public:
  using Epoch = std::pair<std::string, int64_t>;  // job, epoch

  // A process takes its rank, with a state of `step`.
  void Sit(const Epoch& epoch, int rank, int ranks, uint64_t process,
           const std::string& server, const std::string& start, int64_t step);
  // It has set up its channels.
  void Connect(const Epoch& epoch, int rank, uint64_t process);
  void SetStep(const Epoch& epoch, int rank, uint64_t process, int64_t step);
  // It has left, or is dead.
  void GetUp(const Epoch& epoch, uint64_t process);
  void GetUp(uint64_t process);

  // While a server is unplugged its peers take it for gone.
  void Unplug(const std::string& server) { unplugged_.insert(server); }
  void Plug(const std::string& server) { unplugged_.erase(server); }

  // Every rank has set up its channels.
  bool IsConnected(const Epoch& epoch) const;
  // Every rank has made at least `step`.
  bool AllHave(const Epoch& epoch, int64_t step) const;
  // A rank other than `rank` that was there and is not; nothing if all are.
  std::optional<int> Missing(const Epoch& epoch, int rank) const;

  // What was seen that must never be; empty if all is well.
  const std::string& violation() const { return violation_; }

 private:
  struct Seat {
    // 0: nobody has been there.
    uint64_t process = 0;
    std::string server;
    bool is_connected = false;
    bool is_gone = false;
    int64_t step = 0;
  };
  struct Table {
    std::vector<Seat> seats;
    std::string start;
  };

  Seat* SeatOf(const Epoch& epoch, int rank, uint64_t process);

  std::map<Epoch, Table> tables_;
  std::set<std::string> unplugged_;
  std::string violation_;
};

}  // namespace penstock::simulation

#endif  // PENSTOCK_TESTS_SIMULATION_DATA_PLANE_H_
