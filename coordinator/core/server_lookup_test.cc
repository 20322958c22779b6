#include "coordinator/core/server_lookup.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class FindServerTest : public ::testing::Test {
 protected:
  void Add(const std::string& id, const std::string& name,
           ServerState state = SERVER_STATE_IDLE) {
    ServerInfo& info = state_.servers[id].info;
    info.set_id(id);
    info.set_name(name);
    info.set_state(state);
  }
  std::string Found(const std::string& text) {
    return FindServer(state_, text).value_or("none");
  }
  absl::Status Refusal(const std::string& text) {
    return FindServer(state_, text).status();
  }

  ClusterState state_;
};

TEST_F(FindServerTest, AnIdComesBeforeANameAndANameBeforeAPrefix) {
  Add("aa11", "node-1");
  Add("node-1", "node-2");
  EXPECT_EQ(Found("node-1"), "node-1");
  EXPECT_EQ(Found("node-2"), "node-1");
  EXPECT_EQ(Found("aa"), "aa11");
}

TEST_F(FindServerTest, OfTwoOfOneNameTheOneThatIsThereIsMeant) {
  Add("aa11", "node-1", SERVER_STATE_LOST);
  EXPECT_EQ(Found("node-1"), "aa11");
  Add("bb22", "node-1", SERVER_STATE_SUSPECT);
  EXPECT_EQ(Found("node-1"), "bb22");
}

TEST_F(FindServerTest, WhatIsNotOneServerIsRefusedWithTheIds) {
  Add("aa11", "node-1");
  Add("aa22", "node-1");
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal("node-1")));
  EXPECT_THAT(Refusal("node-1").message(),
              AllOf(HasSubstr("name of 2"), HasSubstr("aa11, aa22")));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal("aa")));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal("")));
}

TEST_F(FindServerTest, AMistypedNameIsAnsweredWithTheNearest) {
  Add("aa11", "node-11");
  Add("bb22", "other");
  EXPECT_TRUE(absl::IsNotFound(Refusal("node-12")));
  EXPECT_THAT(Refusal("node-12").message(),
              AllOf(HasSubstr("no stage server \"node-12\""),
                    HasSubstr("did you mean \"node-11\"?")));
}

}  // namespace
}  // namespace penstock
