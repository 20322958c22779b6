// Makes the pictures and tables of docs/schedules.md: write_gallery
// DOCS_FOLDER.

#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/schedules/gallery.h"

namespace penstock {
namespace {

absl::Status WriteGallery(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/schedules.md");
  PENSTOCK_ASSIGN_OR_RETURN(const std::string page, ReadFile(path));
  PENSTOCK_ASSIGN_OR_RETURN(const Gallery gallery, MakeGallery(page));
  PENSTOCK_RETURN_IF_ERROR(
      MakeFolder(absl::StrCat(folder, "/images/schedules")));
  for (const auto& [name, svg] : gallery.pictures) {
    PENSTOCK_RETURN_IF_ERROR(
        WriteFileAtomically(absl::StrCat(folder, "/", name), svg));
  }
  return WriteFileAtomically(path, gallery.page);
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_gallery DOCS_FOLDER\n";
    return 2;
  }
  const absl::Status status = penstock::WriteGallery(argv[1]);
  if (!status.ok()) {
    std::cerr << "write_gallery: " << status.message() << "\n";
    return 1;
  }
}
