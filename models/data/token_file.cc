#include "models/data/token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace penstock {
namespace {

static_assert(std::endian::native == std::endian::little,
              "token files are mapped as they are");

constexpr size_t kChunkBytes = 1 << 20;

absl::Status CheckNotTheText(const struct stat& text,
                             const std::string& text_path,
                             const std::string& output_path) {
  struct stat output;
  if (stat(output_path.c_str(), &output) != 0 || output.st_dev != text.st_dev ||
      output.st_ino != text.st_ino) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "writing tokens to ", output_path, " would overwrite the text ",
      text_path, " itself; name another output"));
}

absl::Status WriteAll(int fd, const std::vector<uint16_t>& tokens, size_t count,
                      const std::string& path) {
  const char* data = reinterpret_cast<const char*>(tokens.data());
  size_t left = count * sizeof(uint16_t);
  while (left > 0) {
    const ssize_t written = write(fd, data, left);
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "write", path);
    }
    data += written;
    left -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

// Bytes read, which is 0 only at the end.
absl::StatusOr<size_t> ReadChunk(int fd, std::vector<unsigned char>* chunk,
                                 const std::string& path) {
  while (true) {
    const ssize_t count = read(fd, chunk->data(), chunk->size());
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) return ErrnoStatus(errno, "read", path);
  }
}

absl::StatusOr<int64_t> CopyAsTokens(
    int text, int output, const std::string& text_path,
    const std::string& output_path, int64_t total_bytes,
    const std::function<void(int64_t, int64_t)>& progress) {
  std::vector<unsigned char> bytes(kChunkBytes);
  std::vector<uint16_t> tokens(kChunkBytes);
  int64_t done_bytes = 0;
  while (true) {
    PENSTOCK_ASSIGN_OR_RETURN(const size_t count,
                              ReadChunk(text, &bytes, text_path));
    if (count == 0) break;
    for (size_t i = 0; i < count; ++i) tokens[i] = bytes[i];
    PENSTOCK_RETURN_IF_ERROR(WriteAll(output, tokens, count, output_path));
    done_bytes += static_cast<int64_t>(count);
    if (progress) progress(done_bytes, total_bytes);
  }
  if (done_bytes == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the text ", text_path, " is empty"));
  }
  if (fdatasync(output) != 0) return ErrnoStatus(errno, "sync", output_path);
  return done_bytes;
}

absl::Span<const uint16_t> AllTokens(const MappedFile& file) {
  return {reinterpret_cast<const uint16_t*>(file.bytes().data()),
          file.bytes().size() / sizeof(uint16_t)};
}

absl::Status CheckVocabulary(absl::Span<const uint16_t> tokens,
                             int64_t vocabulary, const std::string& path) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < vocabulary) continue;
    return absl::OutOfRangeError(absl::StrCat(
        "token file ", path, ": token ", i, " is ", tokens[i],
        ", outside the model's vocabulary of ", vocabulary,
        "; raise the vocabulary or prepare the file for this model"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> PrepareTextFile(
    const std::string& text_path, const std::string& output_path,
    const std::function<void(int64_t done_bytes, int64_t total_bytes)>&
        progress) {
  const int text = open(text_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (text < 0) return ErrnoStatus(errno, "open the text", text_path);
  const absl::Cleanup close_text = [text] { close(text); };
  struct stat text_stat;
  if (fstat(text, &text_stat) != 0) {
    return ErrnoStatus(errno, "stat", text_path);
  }
  const std::string temporary_path = absl::StrCat(output_path, ".tmp");
  PENSTOCK_RETURN_IF_ERROR(CheckNotTheText(text_stat, text_path, output_path));
  PENSTOCK_RETURN_IF_ERROR(
      CheckNotTheText(text_stat, text_path, temporary_path));

  const int output = open(temporary_path.c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (output < 0) return ErrnoStatus(errno, "create", temporary_path);
  absl::Cleanup remove_temporary = [&] { unlink(temporary_path.c_str()); };
  absl::StatusOr<int64_t> tokens = CopyAsTokens(
      text, output, text_path, temporary_path,
      S_ISREG(text_stat.st_mode) ? text_stat.st_size : 0, progress);
  if (close(output) != 0 && tokens.ok()) {
    return ErrnoStatus(errno, "close", temporary_path);
  }
  if (!tokens.ok()) return tokens;
  if (rename(temporary_path.c_str(), output_path.c_str()) != 0) {
    return ErrnoStatus(errno, "rename the finished tokens to", output_path);
  }
  std::move(remove_temporary).Cancel();
  return tokens;
}

absl::StatusOr<TokenFile> TokenFile::Open(const std::string& path,
                                          int64_t vocabulary,
                                          int64_t sequence_length) {
  PENSTOCK_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  const size_t size_bytes = file.bytes().size();
  if (size_bytes == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("token file ", path,
                     " is empty; make one with `penstock data prepare`"));
  }
  if (size_bytes % sizeof(uint16_t) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "token file ", path, " has ", size_bytes,
        " bytes, want an even number (uint16 tokens); is it a text? make a "
        "token file with `penstock data prepare`"));
  }
  const absl::Span<const uint16_t> tokens = AllTokens(file);
  const auto num_tokens = static_cast<int64_t>(tokens.size());
  if (num_tokens < sequence_length + 1) {
    return absl::OutOfRangeError(absl::StrCat(
        "token file ", path, " has ", num_tokens, " tokens, want at least ",
        sequence_length + 1, " (one sequence of ", sequence_length,
        " and its last label)"));
  }
  PENSTOCK_RETURN_IF_ERROR(CheckVocabulary(tokens, vocabulary, path));
  return TokenFile(std::move(file), sequence_length,
                   (num_tokens - 1) / sequence_length);
}

absl::Span<const uint16_t> TokenFile::Tokens(int64_t sequence) const {
  return AllTokens(file_).subspan(sequence * sequence_length_,
                                  sequence_length_);
}

absl::Span<const uint16_t> TokenFile::Labels(int64_t sequence) const {
  return AllTokens(file_).subspan(sequence * sequence_length_ + 1,
                                  sequence_length_);
}

}  // namespace penstock
