#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/tls/identity.h"
#include "client/certs/certificate_folder.h"
#include "client/commands/command.h"
#include "client/render/table.h"

namespace penstock {
namespace {

constexpr int kDefaultDays = 365;
constexpr int kMaxDays = 3650;
constexpr absl::Duration kDay = absl::Hours(24);

struct CertsFlags {
  std::string folder;
  std::string role;
  std::string name;
  std::vector<std::string> names;
  std::vector<std::string> hosts;
  // 0: what is usual.
  int days = 0;
  OutputFormat format = OutputFormat::kText;

  absl::Duration lifetime() const {
    return kDay * (days == 0 ? kDefaultDays : days);
  }
};

std::string FolderOf(const CommandContext& context, const CertsFlags& flags) {
  return (std::filesystem::path(context.environment().working_folder) /
          flags.folder)
      .lexically_normal();
}

std::string RoleOf(const CertificateFacts& facts) {
  return facts.is_authority ? "authority"
                            : std::string(RoleName(facts.identity.role));
}

std::string DayText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

nlohmann::ordered_json ToJson(const KeptCertificate& kept, absl::Time now) {
  const CertificateFacts& facts = kept.facts;
  return {{"folder", kept.folder},
          {"role", RoleOf(facts)},
          {"name", facts.identity.name},
          {"hosts", facts.hosts},
          {"not_before", absl::FormatTime(absl::RFC3339_sec, facts.not_before,
                                          absl::UTCTimeZone())},
          {"not_after", absl::FormatTime(absl::RFC3339_sec, facts.not_after,
                                         absl::UTCTimeZone())},
          {"days_left", (facts.not_after - now) / kDay},
          {"expired", facts.not_after <= now},
          {"fingerprint", facts.fingerprint}};
}

ExitCode Show(const CommandContext& context, OutputFormat format,
              const std::vector<KeptCertificate>& certificates) {
  const absl::Time now = context.environment().clock->Now();
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::vector<std::string> heading = {"ROLE", "NAME", "HOSTS", "UNTIL",
                                      "FOLDER"};
  if (format == OutputFormat::kWide) heading.push_back("FINGERPRINT");
  std::vector<std::vector<std::string>> rows;
  for (const KeptCertificate& kept : certificates) {
    json.push_back(ToJson(kept, now));
    const CertificateFacts& facts = kept.facts;
    rows.push_back({RoleOf(facts), facts.identity.name,
                    absl::StrJoin(facts.hosts, ","),
                    absl::StrCat(DayText(facts.not_after),
                                 facts.not_after <= now ? " EXPIRED" : ""),
                    kept.folder, facts.fingerprint});
  }
  context.Print(format, json, RenderTable(heading, rows));
  return ExitCode::kOk;
}

ExitCode Init(const CommandContext& context, const CertsFlags& flags) {
  const auto made = InitCertificates(
      FolderOf(context, flags),
      {{{Role::kCoordinator, "coordinator"}, flags.hosts, flags.lifetime()},
       {{Role::kAdmin, "admin"}, {}, flags.lifetime()}},
      context.environment().clock->Now());
  if (!made.ok()) return context.Fail(made.status());
  return Show(context, flags.format, *made);
}

ExitCode Issue(const CommandContext& context, const CertsFlags& flags) {
  const absl::StatusOr<Role> role = ParseRole(flags.role);
  if (!role.ok()) {
    return context.Fail(absl::InvalidArgumentError(
        absl::StrCat("--role: ", role.status().message())));
  }
  if (!flags.hosts.empty() && !IsDialled(*role)) {
    return context.Fail(absl::InvalidArgumentError(absl::StrCat(
        "--host is for who is dialled; nobody dials a ", flags.role)));
  }
  const auto made =
      IssueInto(FolderOf(context, flags),
                {{*role, flags.name}, flags.hosts, flags.lifetime()},
                context.environment().clock->Now());
  if (!made.ok()) return context.Fail(made.status());
  return Show(context, flags.format, {*made});
}

ExitCode Rotate(const CommandContext& context, const CertsFlags& flags) {
  const std::optional<absl::Duration> lifetime =
      flags.days == 0 ? std::nullopt : std::optional(flags.lifetime());
  const auto rotated =
      RotateCertificates(FolderOf(context, flags), flags.names, lifetime,
                         context.environment().clock->Now());
  if (!rotated.ok()) return context.Fail(rotated.status());
  return Show(context, flags.format, *rotated);
}

ExitCode ShowThere(const CommandContext& context, const CertsFlags& flags) {
  const auto found = FindCertificates(FolderOf(context, flags));
  if (!found.ok()) return context.Fail(found.status());
  return Show(context, flags.format, *found);
}

// One of the subcommands, with what they share.
Command Add(Command certs, CommandContext& context,
            const std::shared_ptr<CertsFlags>& flags, const std::string& name,
            const std::string& description,
            const std::vector<std::string>& examples,
            ExitCode (*run)(const CommandContext&, const CertsFlags&)) {
  Command command =
      AddCommand(certs, context, name, description, examples,
                 [&context, flags, run] { return run(context, *flags); });
  command
      .AddOption("folder", flags->folder,
                 "Where the cluster's authority and certificates are")
      .TypeName("FOLDER")
      .Required();
  AddOutputFlag(command, flags->format);
  return command;
}

void AddHosts(Command command, CertsFlags& flags) {
  command
      .AddOption("--host", flags.hosts,
                 "A name or address at which it may be dialled; may be "
                 "repeated. Without one: at any")
      .TypeName("HOST")
      .Repeatable();
}

void AddDays(Command command, CertsFlags& flags, const std::string& usual) {
  command
      .AddOption("--days", flags.days,
                 absl::StrCat("How long the certificate holds (", usual, ")"))
      .Within(1, kMaxDays)
      .TypeName("DAYS");
}

}  // namespace

void AddCerts(Command app, CommandContext& context) {
  Command certs = app.AddGroup(
      "certs", "Certificates of a cluster",
      {"penstock certs init certs --host head", "penstock certs show certs"});
  const auto flags = std::make_shared<CertsFlags>();
  const std::string usual = absl::StrCat(kDefaultDays);
  Command init =
      Add(certs, context, flags, "init",
          "Make an authority, and certificates of a coordinator and an admin",
          {"penstock certs init certs --host head --host 10.0.0.7"}, Init);
  AddHosts(init, *flags);
  AddDays(init, *flags, usual);

  Command issue =
      Add(certs, context, flags, "issue", "Make one more certificate",
          {"penstock certs issue certs --role user --name alice",
           "penstock certs issue certs --role stage-server --name gpu-1"},
          Issue);
  std::vector<std::string> roles;
  for (const Role role : AllRoles()) roles.emplace_back(RoleName(role));
  issue.AddOption("--role", flags->role, "What its holder may do")
      .TypeName(absl::StrJoin(roles, "|"))
      .Required();
  issue
      .AddOption("--name", flags->name,
                 "Its holder; of a stage server, its --name or its id")
      .TypeName("NAME")
      .Required();
  AddHosts(issue, *flags);
  AddDays(issue, *flags, usual);

  Command rotate =
      Add(certs, context, flags, "rotate",
          "Renew certificates and their keys: all, or the named ones",
          {"penstock certs rotate certs", "penstock certs rotate certs gpu-1"},
          Rotate);
  rotate.AddOption("names", flags->names, "Whose").TypeName("NAME");
  AddDays(rotate, *flags, "as long as before");

  Add(certs, context, flags, "show",
      "List certificates: whose, for what, until when",
      {"penstock certs show certs", "penstock certs show tls.crt -o wide"},
      ShowThere);
}

}  // namespace penstock
