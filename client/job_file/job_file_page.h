#ifndef PENSTOCK_CLIENT_JOB_FILE_JOB_FILE_PAGE_H_
#define PENSTOCK_CLIENT_JOB_FILE_JOB_FILE_PAGE_H_

#include <string>

namespace penstock {

// The whole text of docs/job_file.md, made from the key table. Pure.
std::string JobFilePage();

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_JOB_FILE_JOB_FILE_PAGE_H_
