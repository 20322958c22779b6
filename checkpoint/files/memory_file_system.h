#ifndef PENSTOCK_CHECKPOINT_FILES_MEMORY_FILE_SYSTEM_H_
#define PENSTOCK_CHECKPOINT_FILES_MEMORY_FILE_SYSTEM_H_

#include <memory>

#include "checkpoint/files/file_system.h"

namespace penstock {

// Files in the memory of this process, gone with it: for what must be as near
// as that, and is on another machine too. Syncing does nothing. A file's memory
// is given back when its name and all that have it open are gone; it grows in
// pieces, so that a large one is never copied to a larger place.
//   RESOURCE_EXHAUSTED  there is no memory.
std::unique_ptr<FileSystem> MakeMemoryFileSystem();

}  // namespace penstock

#endif  // PENSTOCK_CHECKPOINT_FILES_MEMORY_FILE_SYSTEM_H_
