#include "models/data/synthetic_images.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/data/captions.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

const SyntheticImages::Shape kShape = {
    .channels = 3, .height = 12, .width = 16, .classes = 5};

std::vector<float> PixelsOf(const SyntheticImages& images, int64_t image) {
  const SyntheticImages::Shape& shape = images.shape();
  std::vector<float> pixels(
      static_cast<size_t>(shape.channels * shape.height * shape.width));
  images.Pixels(image, absl::MakeSpan(pixels));
  return pixels;
}

TEST(SyntheticImagesTest, AnImageDependsOnSeedAndNumberAlone) {
  const SyntheticImages images(7, kShape);
  const std::vector<float> third = PixelsOf(images, 3);
  PixelsOf(images, 4);
  EXPECT_EQ(PixelsOf(images, 3), third);
  EXPECT_EQ(PixelsOf(SyntheticImages(7, kShape), 3), third);
  EXPECT_NE(PixelsOf(images, 4), third);
  EXPECT_NE(PixelsOf(SyntheticImages(8, kShape), 3), third);
}

TEST(SyntheticImagesTest, RectanglesLieInsideAndFillHalfOfEachSide) {
  const SyntheticImages images(7, kShape);
  std::set<int64_t> classes;
  std::set<int64_t> quadrants;
  int inverted = 0;
  for (int image = 0; image < 500; ++image) {
    const SyntheticImages::Content content = images.ContentOf(image);
    classes.insert(content.image_class);
    quadrants.insert(images.QuadrantOf(content));
    inverted += content.is_inverted ? 1 : 0;
    EXPECT_GE(content.top, 0);
    EXPECT_GE(content.left, 0);
    EXPECT_GE(content.height, 6);
    EXPECT_LE(content.height, 9);
    EXPECT_GE(content.width, 8);
    EXPECT_LE(content.width, 12);
    EXPECT_LE(content.top + content.height, 12);
    EXPECT_LE(content.left + content.width, 16);
  }
  EXPECT_THAT(classes, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(quadrants, ElementsAre(0, 1, 2, 3));
  EXPECT_NEAR(inverted, 250, 60);
}

TEST(SyntheticImagesTest, TheSmallestImageHasARectangle) {
  const SyntheticImages images(
      1, {.channels = 1, .height = 1, .width = 1, .classes = 1});
  EXPECT_EQ(images.ContentOf(0).height, 1);
  EXPECT_EQ(PixelsOf(images, 0).size(), 1u);
}

TEST(SyntheticImagesTest, MasksAreTheRectangle) {
  const SyntheticImages images(7, kShape);
  const SyntheticImages::Content content = images.ContentOf(9);
  std::vector<int64_t> mask(12 * 16, -1);
  images.Mask(9, absl::MakeSpan(mask));
  for (int64_t i = 0; i < 12; ++i) {
    for (int64_t j = 0; j < 16; ++j) {
      const bool is_inside =
          i >= content.top && i < content.top + content.height &&
          j >= content.left && j < content.left + content.width;
      EXPECT_EQ(mask[static_cast<size_t>(i * 16 + j)],
                is_inside ? content.image_class + 1 : 0);
    }
  }
}

TEST(SyntheticImagesTest, TheRectangleStandsOutOfTheNoise) {
  const SyntheticImages images(7, kShape);
  double inside = 0, outside = 0;
  int num_inside = 0, num_outside = 0;
  for (int image = 0; image < 50; ++image) {
    const std::vector<float> pixels = PixelsOf(images, image);
    std::vector<int64_t> mask(12 * 16);
    images.Mask(image, absl::MakeSpan(mask));
    for (size_t i = 0; i < mask.size(); ++i) {
      const double square = pixels[i] * pixels[i];
      (mask[i] > 0 ? inside : outside) += square;
      ++(mask[i] > 0 ? num_inside : num_outside);
    }
  }
  EXPECT_GT(inside / num_inside, 4 * outside / num_outside);
  EXPECT_NEAR(outside / num_outside, 0.09, 0.01);
}

TEST(CaptionsTest, SayWhatTheImageShows) {
  const int64_t vocabulary = 12;
  ASSERT_EQ(CaptionClasses(vocabulary), kShape.classes);
  const SyntheticImages images(7, kShape);
  for (int image = 0; image < 100; ++image) {
    const SyntheticImages::Content content = images.ContentOf(image);
    std::vector<int64_t> caption(5, -1);
    WriteCaption(images, image, absl::MakeSpan(caption));
    EXPECT_THAT(caption, ElementsAre(1 + images.QuadrantOf(content),
                                     content.is_inverted ? 6 : 5,
                                     7 + content.image_class, 0, 0));
    EXPECT_LT(caption[2], vocabulary);
  }
}

TEST(CaptionsTest, ASmallVocabularyNamesNoClass) {
  EXPECT_EQ(CaptionClasses(8), 1);
  EXPECT_LE(CaptionClasses(7), 0);
}

}  // namespace
}  // namespace penstock
