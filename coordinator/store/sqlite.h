#ifndef PENSTOCK_COORDINATOR_STORE_SQLITE_H_
#define PENSTOCK_COORDINATOR_STORE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace penstock {

// One prepared statement, run any number of times. Parameters count from 1,
// columns from 0. Not thread-safe; must not outlive its database.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&& other) = delete;
  ~SqliteStatement();

  SqliteStatement& Bind(int parameter, int64_t value);
  SqliteStatement& Bind(int parameter, absl::string_view text);
  SqliteStatement& BindBlob(int parameter, absl::string_view bytes);
  SqliteStatement& BindNull(int parameter);

  // Steps to the next row: true if there is one. After false or an error the
  // statement can be bound again.
  absl::StatusOr<bool> Next();
  // Runs a statement that gives no rows.
  absl::Status Run();

  int64_t Int(int column) const;
  // Text or blob.
  std::string Bytes(int column) const;

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_;
};

// An open SQLite database. Not thread-safe.
//
// Statuses are what StateStore promises: a full disk (also a quota or file size
// limit) is RESOURCE_EXHAUSTED, a damaged file DATA_LOSS, the rest INTERNAL;
// all name the file.
class SqliteDatabase {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(
      const std::string& path);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Statements without parameters or rows, several with semicolons.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<SqliteStatement> Prepare(const std::string& sql);

 private:
  explicit SqliteDatabase(sqlite3* database) : database_(database) {}

  sqlite3* const database_;
};

// How to get out of a damaged store, for messages.
std::string RecoveryAdvice(const std::string& path);

}  // namespace penstock

#endif  // PENSTOCK_COORDINATOR_STORE_SQLITE_H_
