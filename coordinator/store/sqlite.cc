#include "coordinator/store/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// A quota or a file size limit shows as a failed write, not as a full disk.
bool IsOutOfSpace(sqlite3* database) {
  return (sqlite3_errcode(database) & 0xff) == SQLITE_FULL ||
         sqlite3_extended_errcode(database) == SQLITE_IOERR_WRITE;
}

absl::Status Failure(sqlite3* database) {
  const char* name = sqlite3_db_filename(database, "main");
  const std::string path = name == nullptr ? "" : name;
  const std::string message =
      absl::StrCat("store ", path, ": ", sqlite3_errmsg(database));
  const int code = sqlite3_errcode(database) & 0xff;
  if (IsOutOfSpace(database)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(message,
                     "; nothing was lost: free space on its disk, or "
                     "raise the quota"));
  }
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
    return absl::DataLossError(
        absl::StrCat(message, "; ", RecoveryAdvice(path)));
  }
  return absl::InternalError(message);
}

}  // namespace

std::string RecoveryAdvice(const std::string& path) {
  return absl::StrCat(
      "it cannot be used. Put a backup in its place, or salvage it with "
      "`sqlite3 ",
      path, " .recover | sqlite3 salvaged.db`, or move ", path,
      " and its -wal and -shm files away to start with an empty store");
}

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)) {}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

SqliteStatement& SqliteStatement::Bind(int parameter, int64_t value) {
  sqlite3_bind_int64(statement_, parameter, value);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int parameter, absl::string_view text) {
  sqlite3_bind_text64(statement_, parameter, text.data(), text.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(int parameter,
                                           absl::string_view bytes) {
  sqlite3_bind_blob64(statement_, parameter, bytes.data(), bytes.size(),
                      SQLITE_TRANSIENT);
  return *this;
}

SqliteStatement& SqliteStatement::BindNull(int parameter) {
  sqlite3_bind_null(statement_, parameter);
  return *this;
}

absl::StatusOr<bool> SqliteStatement::Next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  absl::Status status;
  if (code != SQLITE_DONE) status = Failure(database_);
  sqlite3_reset(statement_);
  if (!status.ok()) return status;
  return false;
}

absl::Status SqliteStatement::Run() { return Next().status(); }

int64_t SqliteStatement::Int(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string SqliteStatement::Bytes(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size_bytes = sqlite3_column_bytes(statement_, column);
  return std::string(static_cast<const char*>(bytes), size_bytes);
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(
    const std::string& path) {
  // A new one is its owner's alone: it holds the cluster's secret. SQLite gives
  // the files beside it the same mode; if this fails, it says why.
  const int fd =
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd >= 0) close(fd);
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &database,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
      nullptr);
  std::unique_ptr<SqliteDatabase> opened(new SqliteDatabase(database));
  if (code != SQLITE_OK) return Failure(database);
  sqlite3_extended_result_codes(database, 0);
  return opened;
}

SqliteDatabase::~SqliteDatabase() { sqlite3_close_v2(database_); }

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) !=
      SQLITE_OK) {
    return Failure(database_);
  }
  return absl::OkStatus();
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(
    const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) !=
      SQLITE_OK) {
    return Failure(database_);
  }
  return SqliteStatement(database_, statement);
}

}  // namespace penstock
