#ifndef PENSTOCK_CLIENT_RENDER_TABLE_H_
#define PENSTOCK_CLIENT_RENDER_TABLE_H_

#include <string>
#include <vector>

namespace penstock {

// Columns padded to their widest cell (in characters, not bytes), two blanks
// between, no blanks at the line's end; the heading first. An empty cell shows
// as "-". Rows may be shorter than the heading. Pure.
std::string RenderTable(const std::vector<std::string>& heading,
                        const std::vector<std::vector<std::string>>& rows);

}  // namespace penstock

#endif  // PENSTOCK_CLIENT_RENDER_TABLE_H_
