#include "client/doctor/examination.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/render/job_view.h"
#include "client/render/quantity.h"

namespace penstock {
namespace {

constexpr char kCluster[] = "cluster";
constexpr int64_t kMiB = int64_t{1} << 20;
// UCX keeps its queues there, for each pair of ranks of a host; containers have
// 64 MiB unless they are told otherwise.
constexpr int64_t kSharedMemory = 256 * kMiB;
constexpr int64_t kDisk = 1024 * kMiB;
// Timelines and events of several hosts are laid side by side.
constexpr absl::Duration kClockSkew = absl::Seconds(1);
// Each call of a person waits for it; heartbeats come once a second.
constexpr absl::Duration kRoundTrip = absl::Milliseconds(200);

using Servers = google::protobuf::RepeatedPtrField<ServerInfo>;

// What is wrong with a server, if anything is.
using Complaint =
    std::function<std::optional<Finding>(const ServerInfo& server)>;

// The complaints, or that there are none.
void LookAtEach(const Servers& servers, const std::string& check,
                const std::string& all_good, const Complaint& complaint,
                std::vector<Finding>& findings) {
  const size_t before = findings.size();
  for (const ServerInfo& server : servers) {
    std::optional<Finding> found = complaint(server);
    if (!found.has_value()) continue;
    found->check = check;
    found->subject = server.name();
    findings.push_back(*std::move(found));
  }
  if (findings.size() == before && !servers.empty()) {
    findings.push_back({Health::kGood, check, kCluster, all_good, ""});
  }
}

Finding LookAtCoordinator(const ObservedCluster& cluster) {
  Finding finding{Health::kGood, "coordinator", kCluster,
                  absl::StrCat("answers in ",
                               absl::FormatDuration(absl::Trunc(
                                   cluster.round_trip, absl::Milliseconds(1))),
                               ", term ", cluster.servers.coordinator_term()),
                  ""};
  if (cluster.round_trip > kRoundTrip) {
    finding.health = Health::kDoubtful;
    finding.advice =
        "it or the way to it is slow: look at its load, and run it near the "
        "stage servers";
  }
  return finding;
}

Finding LookAtClient(const ObservedCluster& cluster) {
  const std::string& build = cluster.servers.coordinator_build_version();
  if (build == cluster.client_build_version) {
    return {Health::kGood, "client_build", kCluster,
            absl::StrCat("client and coordinator are both ", build), ""};
  }
  return {Health::kDoubtful, "client_build", kCluster,
          absl::StrCat("this client is ", cluster.client_build_version,
                       ", the coordinator ", build),
          "install the client of the coordinator's build: it may not know all "
          "keys and answers"};
}

Finding LookAtCount(const Servers& servers) {
  if (!servers.empty()) {
    return {Health::kGood, "servers", kCluster,
            absl::StrCat(servers.size(), " stage servers have registered"), ""};
  }
  return {Health::kBad, "servers", kCluster, "no stage server has registered",
          "start penstock-stage-server --coordinator ADDRESS on each machine; "
          "its log says why it cannot register"};
}

std::optional<Finding> Silence(const ServerInfo& server) {
  if (server.state() != SERVER_STATE_SUSPECT &&
      server.state() != SERVER_STATE_LOST) {
    return std::nullopt;
  }
  return Finding{
      server.state() == SERVER_STATE_LOST ? Health::kBad : Health::kDoubtful,
      "", "", absl::StrCat(StateName(server.state()), ": ", server.reason()),
      "look at the process and at the network to its machine"};
}

std::optional<Finding> OtherBuild(const ServerInfo& server,
                                  const std::string& build) {
  if (server.build_version() == build) return std::nullopt;
  return Finding{Health::kBad, "", "",
                 absl::StrCat("build ", server.build_version(),
                              ", the coordinator is ", build),
                 "it takes no ranks: install the coordinator's build"};
}

std::optional<Finding> Skew(const ServerInfo& server) {
  if (server.host().unix_nanos() == 0) return std::nullopt;
  const absl::Duration skew = absl::Nanoseconds(server.host().unix_nanos()) -
                              absl::Nanoseconds(server.registered_unix_nanos());
  if (absl::AbsDuration(skew) <= kClockSkew) return std::nullopt;
  return Finding{
      Health::kDoubtful, "", "",
      absl::StrCat("its clock is ",
                   absl::FormatDuration(absl::Trunc(absl::AbsDuration(skew),
                                                    absl::Milliseconds(1))),
                   skew > absl::ZeroDuration() ? " ahead of" : " behind",
                   " the coordinator's"),
      "run NTP (chrony, systemd-timesyncd) on both: training does not mind, "
      "times in logs and events do, and certificates may seem expired"};
}

std::optional<Finding> LittleSharedMemory(const ServerInfo& server) {
  const HostFacts& host = server.host();
  if (host.shared_memory_size_bytes() == 0 ||
      host.shared_memory_free_bytes() >= kSharedMemory) {
    return std::nullopt;
  }
  return Finding{
      Health::kBad, "", "",
      absl::StrCat(BytesText(host.shared_memory_free_bytes()), " of ",
                   BytesText(host.shared_memory_size_bytes()),
                   " are free in /dev/shm, wanted ", BytesText(kSharedMemory)),
      "ranks of one host talk through it: of a container give --shm-size=1g, "
      "else remount it larger"};
}

std::optional<Finding> LittleDisk(const ServerInfo& server) {
  if (server.host().disk_free_bytes() == 0 ||
      server.host().disk_free_bytes() >= kDisk) {
    return std::nullopt;
  }
  return Finding{Health::kDoubtful, "", "",
                 absl::StrCat(BytesText(server.host().disk_free_bytes()),
                              " are free beside its --state-dir, wanted ",
                              BytesText(kDisk)),
                 "make room, or move --state-dir"};
}

std::optional<Finding> UnknownMemory(const ServerInfo& server) {
  if (server.memory_bytes() > 0) return std::nullopt;
  return Finding{Health::kDoubtful, "", "",
                 "it does not say how much memory it has",
                 "give --memory: jobs that do not fit are then refused when "
                 "they are submitted"};
}

// Those that have each value.
std::map<std::string, std::set<std::string>> ByValue(
    const Servers& servers,
    const std::function<std::string(const ServerInfo&)>& value) {
  std::map<std::string, std::set<std::string>> names;
  for (const ServerInfo& server : servers) {
    if (std::string text = value(server); !text.empty()) {
      names[std::move(text)].insert(server.name());
    }
  }
  return names;
}

void LookForOne(const Servers& servers, const std::string& check,
                const std::string& what, const std::string& advice,
                const std::function<std::string(const ServerInfo&)>& value,
                std::vector<Finding>& findings) {
  const auto names = ByValue(servers, value);
  if (names.empty()) return;
  if (names.size() == 1) {
    findings.push_back({Health::kGood, check, kCluster,
                        absl::StrCat(what, ": ", names.begin()->first), ""});
    return;
  }
  std::vector<std::string> parts;
  for (const auto& [text, of] : names) {
    parts.push_back(absl::StrCat(text, " on ", absl::StrJoin(of, ", ")));
  }
  findings.push_back(
      {Health::kDoubtful, check, kCluster,
       absl::StrCat(what, " differs: ", absl::StrJoin(parts, "; ")), advice});
}

// Two machines that call themselves the same.
void LookForNames(const Servers& servers, std::vector<Finding>& findings) {
  std::map<std::string, std::set<std::string>> hosts;
  for (const ServerInfo& server : servers) {
    if (!server.host().hostname().empty()) {
      hosts[server.host().hostname()].insert(server.host_identity());
    }
  }
  const size_t before = findings.size();
  for (const auto& [name, identities] : hosts) {
    if (identities.size() < 2) continue;
    findings.push_back(
        {Health::kDoubtful, "host_names", kCluster,
         absl::StrCat(identities.size(), " hosts call themselves \"", name,
                      "\""),
         "give stage servers names of their own with --name, so that people "
         "can tell them apart; jobs do not mind"});
  }
  if (findings.size() == before && !hosts.empty()) {
    findings.push_back({Health::kGood, "host_names", kCluster,
                        absl::StrCat(hosts.size(), " hosts"), ""});
  }
}

}  // namespace

std::vector<Finding> Examine(const ObservedCluster& cluster) {
  const Servers& servers = cluster.servers.servers();
  const std::string& build = cluster.servers.coordinator_build_version();
  std::vector<Finding> findings = {LookAtCoordinator(cluster),
                                   LookAtClient(cluster), LookAtCount(servers)};
  LookAtEach(servers, "heard", "all are heard", Silence, findings);
  LookAtEach(
      servers, "build", absl::StrCat("all are ", build),
      [&build](const ServerInfo& server) { return OtherBuild(server, build); },
      findings);
  LookAtEach(servers, "clock", "all are within a second of the coordinator's",
             Skew, findings);
  LookAtEach(servers, "shared_memory", "/dev/shm is large enough on all",
             LittleSharedMemory, findings);
  LookAtEach(servers, "disk", "there is room on all", LittleDisk, findings);
  LookAtEach(servers, "memory", "all say how much they have", UnknownMemory,
             findings);
  LookForOne(
      servers, "libtorch", "libtorch",
      "ranks with another one compute other bits, and a job that moves between "
      "them is not bit-equal: install one",
      [](const ServerInfo& server) { return server.host().torch_version(); },
      findings);
  LookForOne(
      servers, "ucx", "UCX", "ranks may not understand each other: install one",
      [](const ServerInfo& server) {
        return server.host().transport_version();
      },
      findings);
  LookForNames(servers, findings);
  return findings;
}

Health Worst(const std::vector<Finding>& findings) {
  Health worst = Health::kGood;
  for (const Finding& finding : findings) {
    worst = std::max(worst, finding.health);
  }
  return worst;
}

}  // namespace penstock
