#include "checkpoint/transfer/access.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "proto/coordinator_service.pb.h"
#include "proto/stage_service.pb.h"
#include "proto/store_service.pb.h"
#include "proto/transfer_service.pb.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// Every method of every service of ours.
std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {ListJobsRequest::descriptor()->file(),
        RegisterRequest::descriptor()->file(),
        ListStoredJobsRequest::descriptor()->file(),
        QueryUploadRequest::descriptor()->file()}) {
    EXPECT_GT(file->service_count(), 0) << file->name();
    for (int i = 0; i < file->service_count(); ++i) {
      const google::protobuf::ServiceDescriptor* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        methods.push_back(absl::StrCat("/", service->full_name(), "/",
                                       service->method(j)->name()));
      }
    }
  }
  return methods;
}

bool May(Role role, const std::string& method) {
  return CheckAccess(method, {role, "x"}).ok();
}

TEST(AccessTest, EveryMethodHasARule) {
  EXPECT_GT(AllMethods().size(), 25);
  for (const std::string& method : AllMethods()) {
    int allowed = 0;
    for (const Role role : AllRoles()) allowed += May(role, method) ? 1 : 0;
    EXPECT_GT(allowed, 0) << method << ": add it to access.cc";
  }
}

TEST(AccessTest, OfPeopleEachMayDoWhatTheOneBeforeMay) {
  for (const std::string& method : AllMethods()) {
    EXPECT_LE(May(Role::kViewer, method), May(Role::kUser, method)) << method;
    EXPECT_LE(May(Role::kUser, method), May(Role::kAdmin, method)) << method;
  }
}

TEST(AccessTest, StageServerOnlyServesAndMovesItsFiles) {
  for (const std::string& method : AllMethods()) {
    const bool own = method.find("/penstock.StageControl/") == 0 ||
                     method.find("/penstock.TransferService/") == 0;
    EXPECT_EQ(May(Role::kStageServer, method), own) << method;
  }
}

TEST(AccessTest, NoPersonIsAStageServerOrACoordinator) {
  for (const Role role : {Role::kViewer, Role::kUser, Role::kAdmin}) {
    EXPECT_FALSE(May(role, "/penstock.StageControl/Register"));
    EXPECT_FALSE(May(role, "/penstock.StageControl/Session"));
    EXPECT_FALSE(May(role, "/penstock.StoreService/Delete"));
  }
}

TEST(AccessTest, ViewerChangesNothing) {
  for (const char* method :
       {"SubmitJob", "CancelJob", "SuspendJob", "ResumeJob", "PinCheckpoint",
        "DeleteCheckpoint", "BeginImport", "CommitImport"}) {
    EXPECT_FALSE(
        May(Role::kViewer, absl::StrCat("/penstock.JobService/", method)))
        << method;
  }
  EXPECT_TRUE(May(Role::kViewer, "/penstock.JobService/ListJobs"));
}

TEST(AccessTest, UnknownMethodIsRefusedToAll) {
  for (const Role role : AllRoles()) {
    EXPECT_FALSE(May(role, "/penstock.JobService/Erase"));
    EXPECT_FALSE(May(role, "/penstock.JobService/"));
    EXPECT_FALSE(May(role, ""));
    EXPECT_FALSE(May(role, "/other.StageControl/Register"));
  }
}

TEST(AccessTest, RefusalSaysWhoCould) {
  const std::string message(
      CheckAccess("/penstock.JobService/CancelJob", {Role::kViewer, "eve"})
          .message());
  EXPECT_THAT(message, HasSubstr("viewer/eve may not call "
                                 "/penstock.JobService/CancelJob"));
  EXPECT_THAT(message, HasSubstr("user, admin"));
}

}  // namespace
}  // namespace penstock
