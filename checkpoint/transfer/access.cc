#include "checkpoint/transfer/access.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock {
namespace {

using People = AccessRule::People;

// A rule for a method, rather than its service, wins.
const AccessRule* FindRule(absl::string_view method) {
  const AccessRule* of_service = nullptr;
  for (const AccessRule& rule : AccessRules()) {
    if (rule.calls == method) return &rule;
    if (absl::EndsWith(rule.calls, "/") &&
        absl::StartsWith(method, rule.calls)) {
      of_service = &rule;
    }
  }
  return of_service;
}

// As a rule counts them; kNobody of a process.
People PeopleOf(Role role) {
  switch (role) {
    case Role::kViewer:
      return People::kViewer;
    case Role::kUser:
      return People::kUser;
    case Role::kAdmin:
      return People::kAdmin;
    default:
      return People::kNobody;
  }
}

bool Allows(const AccessRule& rule, Role role) {
  const People who = PeopleOf(role);
  if (who != People::kNobody) {
    return rule.people != People::kNobody && who >= rule.people;
  }
  return std::find(rule.processes.begin(), rule.processes.end(), role) !=
         rule.processes.end();
}

std::string Allowed(const AccessRule& rule) {
  std::vector<absl::string_view> names;
  for (const Role role : AllRoles()) {
    if (Allows(rule, role)) names.push_back(RoleName(role));
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

const std::vector<AccessRule>& AccessRules() {
  static const auto* const rules = new std::vector<AccessRule>{
      {"/penstock.JobService/SubmitJob", People::kUser, {}},
      {"/penstock.JobService/ValidateJob", People::kViewer, {}},
      {"/penstock.JobService/GetJob", People::kViewer, {}},
      {"/penstock.JobService/ListJobs", People::kViewer, {}},
      {"/penstock.JobService/CancelJob", People::kUser, {}},
      {"/penstock.JobService/SuspendJob", People::kUser, {}},
      {"/penstock.JobService/ResumeJob", People::kUser, {}},
      {"/penstock.JobService/WatchEvents", People::kViewer, {}},
      {"/penstock.JobService/StreamLogs", People::kViewer, {}},
      {"/penstock.JobService/StreamProgress", People::kViewer, {}},
      {"/penstock.JobService/GetTimeline", People::kViewer, {}},
      {"/penstock.JobService/ListCheckpoints", People::kViewer, {}},
      {"/penstock.JobService/GetCheckpoint", People::kViewer, {}},
      {"/penstock.JobService/VerifyCheckpoint", People::kUser, {}},
      {"/penstock.JobService/PinCheckpoint", People::kUser, {}},
      {"/penstock.JobService/DeleteCheckpoint", People::kUser, {}},
      {"/penstock.JobService/BeginImport", People::kUser, {}},
      {"/penstock.JobService/CommitImport", People::kUser, {}},
      {"/penstock.AdminService/ListServers", People::kViewer, {}},
      {"/penstock.AdminService/CordonServer", People::kAdmin, {}},
      {"/penstock.AdminService/UncordonServer", People::kAdmin, {}},
      {"/penstock.AdminService/DrainServer", People::kAdmin, {}},
      {"/penstock.StageControl/", People::kNobody, {Role::kStageServer}},
      // Their token says which files.
      {"/penstock.TransferService/", People::kUser, {Role::kStageServer}},
      {"/penstock.StoreService/", People::kNobody, {Role::kCoordinator}},
      {"/grpc.health.v1.Health/",
       People::kViewer,
       {Role::kStageServer, Role::kCoordinator, Role::kStore}},
      {"/grpc.reflection.v1alpha.ServerReflection/", People::kAdmin, {}},
  };
  return *rules;
}

absl::Status CheckAccess(absl::string_view method, const Identity& peer) {
  const AccessRule* const rule = FindRule(method);
  if (rule == nullptr) {
    return absl::PermissionDeniedError(
        absl::StrCat("no role may call ", method));
  }
  if (Allows(*rule, peer.role)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(ToString(peer), " may not call ", method,
                   "; wanted a certificate of ", Allowed(*rule)));
}

}  // namespace penstock
