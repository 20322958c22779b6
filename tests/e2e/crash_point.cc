// Preloaded into a process of a test: ends it, as kill -9 would, at one named
// call into the C library. So what is shipped has no hook in it.
//
// PENSTOCK_CRASH_AT="WHEN CALL ENDING COUNT": "before" or "after" the COUNT-th
// call (from 1) of CALL (rename, fsync, fdatasync, write, pwrite64, sendmsg) on
// a path that ends so ("*": any). A rename goes by its new name, the others by
// what their descriptor is open on.

#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

extern char** environ;

namespace {

constexpr char kVariable[] = "PENSTOCK_CRASH_AT=";

struct CrashPoint {
  bool is_set = false;
  bool is_after = false;
  char call[32] = {};
  char ending[128] = {};
  int count = 0;
};

const char* Wanted() {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (strncmp(*entry, kVariable, sizeof(kVariable) - 1) == 0) {
      return *entry + sizeof(kVariable) - 1;
    }
  }
  return nullptr;
}

CrashPoint Parse() {
  CrashPoint point;
  const char* const wanted = Wanted();
  char when[8] = {};
  if (wanted == nullptr || sscanf(wanted, "%7s %31s %127s %d", when, point.call,
                                  point.ending, &point.count) != 4) {
    return point;
  }
  point.is_set = true;
  point.is_after = strcmp(when, "after") == 0;
  return point;
}

const CrashPoint& Point() {
  static const CrashPoint point = Parse();
  return point;
}

bool EndsWith(const char* text, const char* ending) {
  const size_t length = strlen(text);
  const size_t wanted = strlen(ending);
  return length >= wanted && strcmp(text + length - wanted, ending) == 0;
}

[[noreturn]] void End() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Counts a call on `path`; whether it is the one.
bool IsHere(const char* call, const char* path) {
  static std::atomic<int> count = 0;
  const CrashPoint& point = Point();
  if (!point.is_set || strcmp(call, point.call) != 0) return false;
  if (strcmp(point.ending, "*") != 0 && !EndsWith(path, point.ending)) {
    return false;
  }
  return ++count == point.count;
}

bool IsHere(const char* call, int fd) {
  if (!Point().is_set || strcmp(call, Point().call) != 0) return false;
  char link[32];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  char path[PATH_MAX] = {};
  if (readlink(link, path, sizeof(path) - 1) < 0) path[0] = '\0';
  return IsHere(call, path);
}

// `what` is a path or a descriptor.
template <typename What, typename... Arguments>
auto Pass(const char* call, What what, Arguments... arguments) {
  // Of the same type as the function that is called here.
  return [=]<typename Result>(Result (*next)(Arguments...)) {
    const bool is_here = IsHere(call, what);
    if (is_here && !Point().is_after) End();
    const Result result = next(arguments...);
    if (is_here) End();
    return result;
  };
}

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int rename(const char* from, const char* to) noexcept {
  static auto* const next = Next<int(const char*, const char*)>("rename");
  return Pass("rename", to, from, to)(next);
}

int fsync(int fd) {
  static auto* const next = Next<int(int)>("fsync");
  return Pass("fsync", fd, fd)(next);
}

int fdatasync(int fd) {
  static auto* const next = Next<int(int)>("fdatasync");
  return Pass("fdatasync", fd, fd)(next);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
  return Pass("write", fd, fd, bytes, size)(next);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  static auto* const next =
      Next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return Pass("pwrite64", fd, fd, bytes, size, offset)(next);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static auto* const next = Next<ssize_t(int, const msghdr*, int)>("sendmsg");
  return Pass("sendmsg", fd, fd, message, flags)(next);
}

}  // extern "C"
