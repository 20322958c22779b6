#include "coordinator/store/sqlite_store.h"

#include <filesystem>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/file_lock.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "coordinator/core/job_machine.h"
#include "coordinator/store/sqlite.h"

namespace penstock {
namespace {

// Forward only: entry i takes a store from version i to i + 1. Never change
// one; append.
constexpr const char* kMigrations[] = {
    R"sql(
      CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
      CREATE TABLE jobs(id TEXT PRIMARY KEY, position INTEGER NOT NULL,
                        name TEXT NOT NULL, state INTEGER NOT NULL,
                        idempotency_key TEXT UNIQUE, row BLOB NOT NULL);
      CREATE TABLE plans(job_id TEXT PRIMARY KEY, plan BLOB NOT NULL);
      CREATE TABLE servers(id TEXT PRIMARY KEY, row BLOB NOT NULL);
      CREATE TABLE events(sequence INTEGER PRIMARY KEY, job_id TEXT NOT NULL,
                          row BLOB NOT NULL);
      CREATE INDEX events_of_job ON events(job_id, sequence);
      CREATE TABLE steps(job_id TEXT NOT NULL, step INTEGER NOT NULL,
                         row BLOB NOT NULL, PRIMARY KEY(job_id, step))
                         WITHOUT ROWID;
      CREATE TABLE logs(job_id TEXT NOT NULL, sequence INTEGER NOT NULL,
                        epoch INTEGER NOT NULL, rank INTEGER NOT NULL,
                        entry INTEGER NOT NULL, row BLOB NOT NULL,
                        PRIMARY KEY(job_id, sequence)) WITHOUT ROWID;
    )sql",
    R"sql(
      CREATE TABLE timelines(job_id TEXT NOT NULL, step INTEGER NOT NULL,
                             row BLOB NOT NULL, PRIMARY KEY(job_id, step));
    )sql",
};
constexpr int kSchemaVersion = std::size(kMigrations);

absl::StatusOr<int64_t> QueryInt(SqliteDatabase& database,
                                 const std::string& sql) {
  PENSTOCK_ASSIGN_OR_RETURN(SqliteStatement query, database.Prepare(sql));
  PENSTOCK_ASSIGN_OR_RETURN(const bool found, query.Next());
  return found ? query.Int(0) : 0;
}

absl::Status CheckIntegrity(SqliteDatabase& database, const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(SqliteStatement check,
                            database.Prepare("PRAGMA integrity_check(1)"));
  PENSTOCK_ASSIGN_OR_RETURN(const bool found, check.Next());
  if (found && check.Bytes(0) == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("store ", path,
                                          " is damaged: ", check.Bytes(0), "; ",
                                          RecoveryAdvice(path)));
}

absl::Status Migrate(SqliteDatabase& database, const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t has_table,
                            QueryInt(database,
                                     "SELECT count(*) FROM sqlite_master WHERE "
                                     "name = 'schema_version'"));
  int64_t version = 0;
  if (has_table != 0) {
    PENSTOCK_ASSIGN_OR_RETURN(
        version, QueryInt(database, "SELECT max(version) FROM schema_version"));
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("store ", path, " has schema version ", version,
                     ", this build knows up to ", kSchemaVersion,
                     "; start the build that wrote it, or a later one"));
  }
  if (version == kSchemaVersion) return absl::OkStatus();
  std::string sql = "BEGIN IMMEDIATE;";
  if (has_table == 0) {
    absl::StrAppend(&sql, "CREATE TABLE schema_version(version INTEGER);");
  }
  for (int64_t next = version; next < kSchemaVersion; ++next) {
    absl::StrAppend(&sql, kMigrations[next],
                    "INSERT INTO schema_version VALUES(", next + 1, ");");
  }
  return database.Execute(absl::StrCat(sql, "COMMIT;"));
}

template <typename Message>
absl::StatusOr<Message> Parse(const std::string& bytes, const char* what) {
  Message message;
  if (!message.ParseFromString(bytes)) {
    return absl::DataLossError(
        absl::StrCat("store: a row of ", what, " cannot be read"));
  }
  return message;
}

class SqliteStore final : public StateStore {
 public:
  SqliteStore(FileLock lock, std::unique_ptr<SqliteDatabase> database)
      : lock_(std::move(lock)), database_(std::move(database)) {}

  absl::StatusOr<StoredState> Load() override;
  absl::Status Write(const WriteBatch& batch) override;
  absl::StatusOr<std::vector<Event>> ReadEvents(const std::string& job_id,
                                                int64_t after_sequence,
                                                int limit) override;
  absl::StatusOr<std::vector<LogLine>> ReadLogs(const std::string& job_id,
                                                int64_t after_sequence,
                                                int limit) override;
  absl::StatusOr<std::vector<ProgressRecord>> ReadSteps(
      const std::string& job_id, int64_t after_step, int limit) override;
  absl::StatusOr<std::vector<int64_t>> ReadTimelineSteps(
      const std::string& job_id) override;
  absl::StatusOr<TimelineRow> ReadTimeline(const std::string& job_id,
                                           int64_t step) override;
  absl::StatusOr<Plan> ReadPlan(const std::string& job_id) override;

 private:
  absl::Status LoadMeta(StoredState& stored);
  absl::Status LoadRunning(StoredJob& job);
  absl::Status WriteMeta(const WriteBatch& batch);
  absl::Status WriteJobs(const WriteBatch& batch);
  absl::Status WriteServers(const WriteBatch& batch);
  absl::Status WriteAppended(const WriteBatch& batch);

  // Declared first, so that it is let go after the database is closed.
  const FileLock lock_;
  const std::unique_ptr<SqliteDatabase> database_;
};

absl::Status SqliteStore::LoadMeta(StoredState& stored) {
  PENSTOCK_ASSIGN_OR_RETURN(
      stored.term,
      QueryInt(*database_, "SELECT value FROM meta WHERE key = 'term'"));
  PENSTOCK_ASSIGN_OR_RETURN(
      stored.last_event_sequence,
      QueryInt(*database_, "SELECT max(sequence) FROM events"));
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement secret,
      database_->Prepare("SELECT value FROM meta WHERE key = 'secret'"));
  PENSTOCK_ASSIGN_OR_RETURN(const bool found, secret.Next());
  if (found) stored.cluster_secret = secret.Bytes(0);
  return absl::OkStatus();
}

absl::Status SqliteStore::LoadRunning(StoredJob& job) {
  const std::string& id = job.row.info().id();
  PENSTOCK_ASSIGN_OR_RETURN(Plan plan, ReadPlan(id));
  job.plan = std::make_shared<const Plan>(std::move(plan));
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement step,
      database_->Prepare("SELECT row FROM steps WHERE job_id = ?1 "
                         "ORDER BY step DESC LIMIT 1"));
  PENSTOCK_ASSIGN_OR_RETURN(const bool has_step, step.Bind(1, id).Next());
  if (has_step) {
    PENSTOCK_ASSIGN_OR_RETURN(job.last_step,
                              Parse<StepRow>(step.Bytes(0), "steps"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement last,
      database_->Prepare("SELECT max(sequence) FROM logs WHERE job_id = ?1"));
  PENSTOCK_ASSIGN_OR_RETURN(const bool has_log, last.Bind(1, id).Next());
  if (has_log) job.last_log_sequence = last.Int(0);
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement logs,
      database_->Prepare("SELECT rank, max(entry) FROM logs WHERE job_id = ?1 "
                         "AND epoch = ?2 GROUP BY rank"));
  logs.Bind(1, id).Bind(2, job.row.info().epoch());
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, logs.Next());
    if (!more) return absl::OkStatus();
    job.log_sequence_of_rank[static_cast<int>(logs.Int(0))] = logs.Int(1);
  }
}

absl::StatusOr<StoredState> SqliteStore::Load() {
  StoredState stored;
  PENSTOCK_RETURN_IF_ERROR(LoadMeta(stored));
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement servers,
      database_->Prepare("SELECT row FROM servers ORDER BY id"));
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, servers.Next());
    if (!more) break;
    PENSTOCK_ASSIGN_OR_RETURN(stored.servers.emplace_back(),
                              Parse<ServerRow>(servers.Bytes(0), "servers"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement jobs,
      database_->Prepare("SELECT row FROM jobs ORDER BY position"));
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, jobs.Next());
    if (!more) break;
    StoredJob& job = stored.jobs.emplace_back();
    PENSTOCK_ASSIGN_OR_RETURN(job.row, Parse<JobRow>(jobs.Bytes(0), "jobs"));
    if (IsTerminal(job.row.info().state())) continue;
    PENSTOCK_RETURN_IF_ERROR(LoadRunning(job));
  }
  return stored;
}

absl::Status SqliteStore::Write(const WriteBatch& batch) {
  PENSTOCK_RETURN_IF_ERROR(database_->Execute("BEGIN IMMEDIATE"));
  absl::Status status = WriteMeta(batch);
  if (status.ok()) status = WriteJobs(batch);
  if (status.ok()) status = WriteServers(batch);
  if (status.ok()) status = WriteAppended(batch);
  if (status.ok()) status = database_->Execute("COMMIT");
  // SQLite may have rolled back by itself already; then this says so.
  if (!status.ok()) database_->Execute("ROLLBACK").IgnoreError();
  return status;
}

absl::Status SqliteStore::WriteMeta(const WriteBatch& batch) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement insert,
      database_->Prepare("INSERT OR REPLACE INTO meta VALUES(?1, ?2)"));
  if (batch.term) {
    PENSTOCK_RETURN_IF_ERROR(insert.Bind(1, "term").Bind(2, *batch.term).Run());
  }
  if (batch.cluster_secret) {
    PENSTOCK_RETURN_IF_ERROR(
        insert.Bind(1, "secret").BindBlob(2, *batch.cluster_secret).Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::WriteJobs(const WriteBatch& batch) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement insert,
      database_->Prepare(
          "INSERT INTO jobs VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(id) "
          "DO UPDATE SET state = excluded.state, row = excluded.row"));
  for (const JobRow& job : batch.jobs) {
    insert.Bind(1, job.info().id())
        .Bind(2, job.position())
        .Bind(3, job.info().job().name())
        .Bind(4, static_cast<int64_t>(job.info().state()))
        .BindBlob(6, job.SerializeAsString());
    if (job.idempotency_key().empty()) {
      insert.BindNull(5);
    } else {
      insert.Bind(5, job.idempotency_key());
    }
    PENSTOCK_RETURN_IF_ERROR(insert.Run());
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement plans,
      database_->Prepare("INSERT OR REPLACE INTO plans VALUES(?1, ?2)"));
  for (const auto& [id, plan] : batch.plans) {
    PENSTOCK_RETURN_IF_ERROR(
        plans.Bind(1, id).BindBlob(2, plan->SerializeAsString()).Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::WriteServers(const WriteBatch& batch) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement insert,
      database_->Prepare("INSERT OR REPLACE INTO servers VALUES(?1, ?2)"));
  for (const ServerRow& server : batch.servers) {
    PENSTOCK_RETURN_IF_ERROR(insert.Bind(1, server.info().id())
                                 .BindBlob(2, server.SerializeAsString())
                                 .Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::WriteAppended(const WriteBatch& batch) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement events,
      database_->Prepare("INSERT INTO events VALUES(?1, ?2, ?3)"));
  for (const Event& event : batch.events) {
    PENSTOCK_RETURN_IF_ERROR(events.Bind(1, event.sequence())
                                 .Bind(2, event.job_id())
                                 .BindBlob(3, event.SerializeAsString())
                                 .Run());
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement forget,
      database_->Prepare("DELETE FROM steps WHERE job_id = ?1 AND step > ?2"));
  for (const auto& [id, last] : batch.kept_steps) {
    PENSTOCK_RETURN_IF_ERROR(forget.Bind(1, id).Bind(2, last).Run());
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement steps,
      database_->Prepare("INSERT INTO steps VALUES(?1, ?2, ?3)"));
  for (const NewStep& step : batch.steps) {
    PENSTOCK_RETURN_IF_ERROR(steps.Bind(1, step.job_id)
                                 .Bind(2, step.row.record().step())
                                 .BindBlob(3, step.row.SerializeAsString())
                                 .Run());
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement timelines,
      database_->Prepare("INSERT OR REPLACE INTO timelines VALUES(?1, ?2, "
                         "?3)"));
  for (const NewTimeline& timeline : batch.timelines) {
    PENSTOCK_RETURN_IF_ERROR(timelines.Bind(1, timeline.job_id)
                                 .Bind(2, timeline.row.step())
                                 .BindBlob(3, timeline.row.SerializeAsString())
                                 .Run());
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement logs,
      database_->Prepare("INSERT INTO logs VALUES(?1, ?2, ?3, ?4, ?5, ?6)"));
  for (const NewLogLine& log : batch.logs) {
    PENSTOCK_RETURN_IF_ERROR(logs.Bind(1, log.job_id)
                                 .Bind(2, log.line.sequence())
                                 .Bind(3, log.epoch)
                                 .Bind(4, int64_t{log.line.rank()})
                                 .Bind(5, log.entry_sequence)
                                 .BindBlob(6, log.line.SerializeAsString())
                                 .Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Event>> SqliteStore::ReadEvents(
    const std::string& job_id, int64_t after_sequence, int limit) {
  PENSTOCK_ASSIGN_OR_RETURN(SqliteStatement query,
                            database_->Prepare(absl::StrCat(
                                "SELECT row FROM events WHERE sequence > ?1 ",
                                job_id.empty() ? "" : "AND job_id = ?3 ",
                                "ORDER BY sequence LIMIT ?2")));
  query.Bind(1, after_sequence).Bind(2, int64_t{limit});
  if (!job_id.empty()) query.Bind(3, job_id);
  std::vector<Event> page;
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return page;
    PENSTOCK_ASSIGN_OR_RETURN(page.emplace_back(),
                              Parse<Event>(query.Bytes(0), "events"));
  }
}

absl::StatusOr<std::vector<LogLine>> SqliteStore::ReadLogs(
    const std::string& job_id, int64_t after_sequence, int limit) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement query,
      database_->Prepare("SELECT row FROM logs WHERE job_id = ?1 AND "
                         "sequence > ?2 ORDER BY sequence LIMIT ?3"));
  query.Bind(1, job_id).Bind(2, after_sequence).Bind(3, int64_t{limit});
  std::vector<LogLine> page;
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return page;
    PENSTOCK_ASSIGN_OR_RETURN(page.emplace_back(),
                              Parse<LogLine>(query.Bytes(0), "logs"));
  }
}

absl::StatusOr<std::vector<ProgressRecord>> SqliteStore::ReadSteps(
    const std::string& job_id, int64_t after_step, int limit) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement query,
      database_->Prepare("SELECT row FROM steps WHERE job_id = ?1 AND "
                         "step > ?2 ORDER BY step LIMIT ?3"));
  query.Bind(1, job_id).Bind(2, after_step).Bind(3, int64_t{limit});
  std::vector<ProgressRecord> page;
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return page;
    PENSTOCK_ASSIGN_OR_RETURN(const StepRow row,
                              Parse<StepRow>(query.Bytes(0), "steps"));
    page.push_back(row.record());
  }
}

absl::StatusOr<std::vector<int64_t>> SqliteStore::ReadTimelineSteps(
    const std::string& job_id) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement query,
      database_->Prepare(
          "SELECT step FROM timelines WHERE job_id = ?1 ORDER BY step"));
  query.Bind(1, job_id);
  std::vector<int64_t> steps;
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return steps;
    steps.push_back(query.Int(0));
  }
}

absl::StatusOr<TimelineRow> SqliteStore::ReadTimeline(const std::string& job_id,
                                                      int64_t step) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement query,
      database_->Prepare(
          "SELECT row FROM timelines WHERE job_id = ?1 AND step = ?2"));
  PENSTOCK_ASSIGN_OR_RETURN(const bool found,
                            query.Bind(1, job_id).Bind(2, step).Next());
  if (!found) {
    return absl::NotFoundError(
        absl::StrCat("no timeline of step ", step, " of job ", job_id));
  }
  return Parse<TimelineRow>(query.Bytes(0), "timelines");
}

absl::StatusOr<Plan> SqliteStore::ReadPlan(const std::string& job_id) {
  PENSTOCK_ASSIGN_OR_RETURN(
      SqliteStatement query,
      database_->Prepare("SELECT plan FROM plans WHERE job_id = ?1"));
  PENSTOCK_ASSIGN_OR_RETURN(const bool found, query.Bind(1, job_id).Next());
  if (!found) {
    return absl::NotFoundError(absl::StrCat("no plan of job ", job_id));
  }
  return Parse<Plan>(query.Bytes(0), "plans");
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> OpenSqliteStore(
    const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) PENSTOCK_RETURN_IF_ERROR(MakeFolder(folder));
  absl::StatusOr<FileLock> lock = FileLock::Take(absl::StrCat(path, ".lock"));
  if (!lock.ok()) return WithContext(lock.status(), "store " + path);
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> database,
                            SqliteDatabase::Open(path));
  PENSTOCK_RETURN_IF_ERROR(CheckIntegrity(*database, path));
  PENSTOCK_RETURN_IF_ERROR(database->Execute(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"));
  PENSTOCK_RETURN_IF_ERROR(Migrate(*database, path));
  return std::make_unique<SqliteStore>(*std::move(lock), std::move(database));
}

}  // namespace penstock
