#include "client/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <memory>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class ArchiveTest : public ::testing::Test {
 protected:
  ArchiveTest()
      : folder_(
            ::testing::TempDir() + "/" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  // Content by path.
  static std::map<std::string, std::string> Read(const std::string& path) {
    const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(),
                                                             archive_read_free);
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_format_tar(reader.get());
    EXPECT_EQ(archive_read_open_filename(reader.get(), path.c_str(), 1 << 16),
              ARCHIVE_OK);
    std::map<std::string, std::string> files;
    archive_entry* entry = nullptr;
    while (archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK) {
      std::string content(archive_entry_size(entry), '\0');
      EXPECT_EQ(archive_read_data(reader.get(), content.data(), content.size()),
                static_cast<la_ssize_t>(content.size()));
      files[archive_entry_pathname(entry)] = content;
    }
    return files;
  }

  const std::string folder_;
};

TEST_F(ArchiveTest, HoldsWhatWasPutIn) {
  const std::string path = folder_ + "/a.tar.gz";
  const std::string long_text(3'000'000, 'x');
  ASSERT_TRUE(WriteArchive(path, "top", {{"a.txt", long_text}, {"b.txt", ""}},
                           absl::UnixEpoch())
                  .ok());
  EXPECT_THAT(Read(path),
              ElementsAre(Pair("top/a.txt", long_text), Pair("top/b.txt", "")));
}

TEST_F(ArchiveTest, IsForItsOwnerAlone) {
  const std::string path = folder_ + "/a.tar.gz";
  ASSERT_TRUE(WriteArchive(path, "top", {{"a", "b"}}, absl::UnixEpoch()).ok());
  struct stat about = {};
  ASSERT_EQ(stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600);
}

TEST_F(ArchiveTest, ReplacesNothing) {
  const std::string path = folder_ + "/a.tar.gz";
  ASSERT_TRUE(WriteFileAtomically(path, "mine").ok());
  EXPECT_EQ(WriteArchive(path, "top", {{"a", "b"}}, absl::UnixEpoch()).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadFile(path).value_or(""), "mine");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_),
                          std::filesystem::directory_iterator()),
            1);
}

TEST_F(ArchiveTest, AFolderThatIsNotThereIsSaid) {
  const absl::Status status = WriteArchive(folder_ + "/no/a.tar.gz", "top",
                                           {{"a", "b"}}, absl::UnixEpoch());
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("a.tar.gz"));
}

}  // namespace
}  // namespace penstock
