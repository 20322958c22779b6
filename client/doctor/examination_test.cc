#include "client/doctor/examination.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kSecond = 1'000'000'000;

// Two servers on two hosts, with nothing to complain of.
ObservedCluster Healthy() {
  ObservedCluster cluster;
  cluster.client_build_version = "1.0";
  cluster.round_trip = absl::Milliseconds(3);
  cluster.servers.set_coordinator_build_version("1.0");
  for (const std::string name : {"a", "b"}) {
    ServerInfo& server = *cluster.servers.add_servers();
    server.set_name(name);
    server.set_build_version("1.0");
    server.set_state(SERVER_STATE_IDLE);
    server.set_memory_bytes(8 * kGiB);
    server.set_host_identity("id-" + name);
    server.set_registered_unix_nanos(1000 * kSecond);
    HostFacts& host = *server.mutable_host();
    host.set_hostname("host-" + name);
    host.set_unix_nanos(1000 * kSecond);
    host.set_shared_memory_size_bytes(2 * kGiB);
    host.set_shared_memory_free_bytes(kGiB);
    host.set_disk_free_bytes(10 * kGiB);
    host.set_torch_version("2.11.0");
    host.set_transport_version("1.13.1");
  }
  return cluster;
}

std::vector<Finding> Complaints(const ObservedCluster& cluster) {
  std::vector<Finding> complaints;
  for (const Finding& finding : Examine(cluster)) {
    if (finding.health != Health::kGood) complaints.push_back(finding);
  }
  return complaints;
}

// One complaint about `subject`, with advice.
auto Is(Health health, const std::string& check, const std::string& subject,
        const std::string& found) {
  return ElementsAre(AllOf(Field("health", &Finding::health, health),
                           Field("check", &Finding::check, check),
                           Field("subject", &Finding::subject, subject),
                           Field("found", &Finding::found, HasSubstr(found)),
                           Field("advice", &Finding::advice, HasSubstr(" "))));
}

TEST(ExaminationTest, AHealthyClusterHasNoComplaint) {
  EXPECT_THAT(Complaints(Healthy()), IsEmpty());
  EXPECT_EQ(Worst(Examine(Healthy())), Health::kGood);
  EXPECT_GE(Examine(Healthy()).size(), 10);
}

TEST(ExaminationTest, NoServerIsBad) {
  ObservedCluster cluster = Healthy();
  cluster.servers.clear_servers();
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kBad, "servers", "cluster", "no stage server"));
  EXPECT_EQ(Worst(Examine(cluster)), Health::kBad);
}

TEST(ExaminationTest, ASlowCoordinatorIsDoubtful) {
  ObservedCluster cluster = Healthy();
  cluster.round_trip = absl::Seconds(1);
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kDoubtful, "coordinator", "cluster", "answers in 1s"));
}

TEST(ExaminationTest, AnOtherClientIsDoubtful) {
  ObservedCluster cluster = Healthy();
  cluster.client_build_version = "0.9";
  EXPECT_THAT(Complaints(cluster), Is(Health::kDoubtful, "client_build",
                                      "cluster", "this client is 0.9"));
}

TEST(ExaminationTest, ALostServerIsBadAndASuspectDoubtful) {
  ObservedCluster cluster = Healthy();
  cluster.servers.mutable_servers(0)->set_state(SERVER_STATE_LOST);
  cluster.servers.mutable_servers(0)->set_reason("nothing heard for 10s");
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kBad, "heard", "a", "LOST: nothing heard"));
  cluster.servers.mutable_servers(0)->set_state(SERVER_STATE_SUSPECT);
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kDoubtful, "heard", "a", "SUSPECT"));
}

TEST(ExaminationTest, AServerOfAnotherBuildIsBad) {
  ObservedCluster cluster = Healthy();
  cluster.servers.mutable_servers(1)->set_build_version("0.9");
  EXPECT_THAT(Complaints(cluster), Is(Health::kBad, "build", "b", "build 0.9"));
}

TEST(ExaminationTest, AClockThatIsApartIsDoubtfulEitherWay) {
  ObservedCluster cluster = Healthy();
  HostFacts& host = *cluster.servers.mutable_servers(0)->mutable_host();
  host.set_unix_nanos(1004 * kSecond);
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kDoubtful, "clock", "a", "its clock is 4s ahead of"));
  host.set_unix_nanos(996 * kSecond);
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kDoubtful, "clock", "a", "its clock is 4s behind"));
}

TEST(ExaminationTest, LittleSharedMemoryIsBad) {
  ObservedCluster cluster = Healthy();
  HostFacts& host = *cluster.servers.mutable_servers(0)->mutable_host();
  host.set_shared_memory_size_bytes(64 << 20);
  host.set_shared_memory_free_bytes(60 << 20);
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kBad, "shared_memory", "a", "/dev/shm"));
}

TEST(ExaminationTest, LittleDiskAndUnknownMemoryAreDoubtful) {
  ObservedCluster cluster = Healthy();
  cluster.servers.mutable_servers(0)->mutable_host()->set_disk_free_bytes(1);
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kDoubtful, "disk", "a", "are free"));
  cluster = Healthy();
  cluster.servers.mutable_servers(1)->set_memory_bytes(0);
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kDoubtful, "memory", "b", "how much memory"));
}

TEST(ExaminationTest, LibrariesThatDifferAreNamedWithTheirServers) {
  ObservedCluster cluster = Healthy();
  cluster.servers.mutable_servers(1)->mutable_host()->set_torch_version("2.9");
  EXPECT_THAT(Complaints(cluster),
              Is(Health::kDoubtful, "libtorch", "cluster",
                 "libtorch differs: 2.11.0 on a; 2.9 on b"));
}

TEST(ExaminationTest, HostsOfOneNameAreDoubtfulAndServersOfOneHostAreNot) {
  ObservedCluster cluster = Healthy();
  HostFacts& host = *cluster.servers.mutable_servers(1)->mutable_host();
  host.set_hostname("host-a");
  EXPECT_THAT(Complaints(cluster), Is(Health::kDoubtful, "host_names",
                                      "cluster", "2 hosts call themselves"));
  cluster.servers.mutable_servers(1)->set_host_identity("id-a");
  EXPECT_THAT(Complaints(cluster), IsEmpty());
}

TEST(ExaminationTest, WhatAServerDoesNotSayIsNoComplaint) {
  ObservedCluster cluster = Healthy();
  for (ServerInfo& server : *cluster.servers.mutable_servers()) {
    server.clear_host();
  }
  EXPECT_THAT(Complaints(cluster), IsEmpty());
}

}  // namespace
}  // namespace penstock
