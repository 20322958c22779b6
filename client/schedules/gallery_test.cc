#include "client/schedules/gallery.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

constexpr char kHow[] =
    "make it again: bazel run //client/schedules:write_gallery -- "
    "\"$PWD/docs\"";

std::string ErrorOf(absl::string_view page) {
  return std::string(MakeGallery(page).status().message());
}

TEST(GalleryTest, DocsHoldWhatTheSchedulesAre) {
  const absl::StatusOr<std::string> page = ReadFile("docs/schedules.md");
  ASSERT_TRUE(page.ok()) << page.status();
  const absl::StatusOr<Gallery> gallery = MakeGallery(*page);
  ASSERT_TRUE(gallery.ok()) << gallery.status();
  EXPECT_TRUE(*page == gallery->page) << kHow;
  EXPECT_GT(gallery->pictures.size(), 16u);
  for (const auto& [name, svg] : gallery->pictures) {
    const absl::StatusOr<std::string> file =
        ReadFile(absl::StrCat("docs/", name));
    ASSERT_TRUE(file.ok()) << file.status() << "; " << kHow;
    EXPECT_TRUE(*file == svg) << name << ": " << kHow;
  }
}

TEST(GalleryTest, FillsMarkersAndKeepsTheRest) {
  const absl::StatusOr<Gallery> gallery = MakeGallery(
      "a\n<!-- picture gpipe --ranks 2 --microbatches 2 -->\nold\n"
      "<!-- end -->\nb\n");
  ASSERT_TRUE(gallery.ok()) << gallery.status();
  EXPECT_EQ(gallery->page,
            "a\n<!-- picture gpipe --ranks 2 --microbatches 2 -->\n"
            "![gpipe on 2 ranks](images/schedules/gpipe.svg)\n"
            "<!-- end -->\nb\n");
  EXPECT_THAT(gallery->pictures,
              ElementsAre(Key("images/schedules/gpipe.svg")));
  const absl::StatusOr<Gallery> again = MakeGallery(gallery->page);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->page, gallery->page);
}

TEST(GalleryTest, ParametersAreInTheFilesName) {
  const absl::StatusOr<Gallery> gallery = MakeGallery(
      "<!-- picture gpipe --ranks 2 --microbatches 2 --param order=lifo -->\n"
      "<!-- end -->\n");
  ASSERT_TRUE(gallery.ok()) << gallery.status();
  EXPECT_THAT(gallery->pictures,
              ElementsAre(Key("images/schedules/gpipe-order-lifo.svg")));
}

TEST(GalleryTest, TheTableHasARowForEachSchedule) {
  const absl::StatusOr<Gallery> gallery =
      MakeGallery("<!-- table --ranks 4 -->\n<!-- end -->\n");
  ASSERT_TRUE(gallery.ok()) << gallery.status();
  EXPECT_THAT(gallery->page, HasSubstr("| [gpipe](#gpipe) | 1 | 27.3 % | "));
  EXPECT_THAT(gallery->page, HasSubstr("| 8 | 3 | 0 |\n"));
  EXPECT_THAT(gallery->page, HasSubstr("| [wpipe](#wpipe) | 2 | "));
}

TEST(GalleryTest, BadMarkersAreToldWithTheirLine) {
  EXPECT_THAT(ErrorOf("a\n<!-- picture gpip --ranks 2 --microbatches 2 -->\n"),
              HasSubstr("line 2: schedule \"gpip\" is not known"));
  EXPECT_EQ(ErrorOf("<!-- picture gpipe --ranks 2 --microbatches 2 -->\n"),
            "line 1: no line <!-- end --> follows the marker");
  EXPECT_THAT(ErrorOf("<!-- picture gpipe --rank 2 -->\n<!-- end -->\n"),
              HasSubstr("line 1: no flag --rank"));
  EXPECT_THAT(ErrorOf("<!-- picture gpipe --ranks two -->\n"),
              HasSubstr("expected a number"));
  EXPECT_THAT(ErrorOf("<!-- picture gpipe ranks -->\n"),
              HasSubstr("expected --flag value"));
  EXPECT_THAT(ErrorOf("<!-- picture -->\n"), HasSubstr("wants a schedule"));
  EXPECT_THAT(ErrorOf("<!-- table -->\n"), HasSubstr("wants --ranks"));
}

}  // namespace
}  // namespace penstock
