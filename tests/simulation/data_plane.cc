#include "tests/simulation/data_plane.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace penstock::simulation {

void DataPlane::Sit(const Epoch& epoch, int rank, int ranks, uint64_t process,
                    const std::string& server, const std::string& start,
                    int64_t step) {
  Table& table = tables_[epoch];
  if (table.seats.empty()) {
    table.seats.resize(ranks);
    table.start = start;
  }
  const std::string where =
      absl::StrCat("job ", epoch.first, " epoch ", epoch.second);
  if (rank >= static_cast<int>(table.seats.size())) {
    violation_ = absl::StrCat(where, " has rank ", rank, " of ",
                              table.seats.size(), " ranks");
    return;
  }
  Seat& seat = table.seats[rank];
  if (seat.process != 0 && seat.process != process) {
    violation_ = absl::StrCat(where, ": two processes have rank ", rank, ", ",
                              seat.server, " and ", server);
  }
  if (table.start != start) {
    violation_ = absl::StrCat(where, ": rank ", rank, " begins with ", start,
                              ", another one with ", table.start);
  }
  seat = Seat{process, server, false, false, step};
}

DataPlane::Seat* DataPlane::SeatOf(const Epoch& epoch, int rank,
                                   uint64_t process) {
  const auto table = tables_.find(epoch);
  if (table == tables_.end()) return nullptr;
  Seat& seat = table->second.seats[rank];
  return seat.process == process ? &seat : nullptr;
}

void DataPlane::Connect(const Epoch& epoch, int rank, uint64_t process) {
  if (Seat* seat = SeatOf(epoch, rank, process)) seat->is_connected = true;
}

void DataPlane::SetStep(const Epoch& epoch, int rank, uint64_t process,
                        int64_t step) {
  if (Seat* seat = SeatOf(epoch, rank, process)) seat->step = step;
}

void DataPlane::GetUp(const Epoch& epoch, uint64_t process) {
  const auto table = tables_.find(epoch);
  if (table == tables_.end()) return;
  for (Seat& seat : table->second.seats) {
    if (seat.process == process) seat.is_gone = true;
  }
}

void DataPlane::GetUp(uint64_t process) {
  for (auto& [epoch, table] : tables_) GetUp(epoch, process);
}

bool DataPlane::IsConnected(const Epoch& epoch) const {
  const auto& seats = tables_.at(epoch).seats;
  return std::all_of(seats.begin(), seats.end(), [](const Seat& seat) {
    return seat.is_connected && !seat.is_gone;
  });
}

bool DataPlane::AllHave(const Epoch& epoch, int64_t step) const {
  const auto& seats = tables_.at(epoch).seats;
  return std::all_of(seats.begin(), seats.end(),
                     [step](const Seat& seat) { return seat.step >= step; });
}

std::optional<int> DataPlane::Missing(const Epoch& epoch, int rank) const {
  const auto& seats = tables_.at(epoch).seats;
  const bool is_cut_off = unplugged_.contains(seats[rank].server);
  for (int other = 0; other < static_cast<int>(seats.size()); ++other) {
    const Seat& seat = seats[other];
    if (other == rank || seat.process == 0) continue;
    if (seat.is_gone || is_cut_off || unplugged_.contains(seat.server)) {
      return other;
    }
  }
  return std::nullopt;
}

}  // namespace penstock::simulation
