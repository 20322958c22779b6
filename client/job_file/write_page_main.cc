// Writes docs/job_file.md: write_page PATH.

#include <iostream>

#include "base/file.h"
#include "client/job_file/job_file_page.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_page PATH\n";
    return 2;
  }
  const absl::Status status =
      penstock::WriteFileAtomically(argv[1], penstock::JobFilePage());
  if (!status.ok()) {
    std::cerr << "write_page: " << status.message() << "\n";
    return 1;
  }
}
