#ifndef PENSTOCK_SCHEDULE_SIMULATOR_SVG_COLOURS_H_
#define PENSTOCK_SCHEDULE_SIMULATOR_SVG_COLOURS_H_

#include <string>
#include <vector>

#include "base/ids.h"
#include "schedule/ir/schedule.h"

namespace penstock {

// What a box's colour tells.
enum class ColourBy {
  // Its shade the chunk, or the copy of a bidirectional schedule.
  kOp,
  // Dark is backward.
  kMicrobatch,
};

// Red, green and blue, each 0 to 1.
struct Colour {
  double red = 0, green = 0, blue = 0;

  std::string Hex() const;  // "#4477aa"
  // Whether white letters on it are easier to read than black ones.
  bool IsDark() const;
};

// The base colour of an op: told apart also by eyes that see no red and green.
Colour ColourOf(Op op);
// Of a microbatch: its hue, which differs clearly from its neighbours'.
Colour ColourOf(MicrobatchId microbatch, Op op);
// `colour` made lighter: 0 leaves it, 1 is white.
Colour Lighter(Colour colour, double by);

// Which of a rank's several stages, or of several copies of the pipeline, an
// action belongs to.
class Shades {
 public:
  explicit Shades(const Schedule& schedule);

  // From 0 to 1, for `Lighter`.
  double LightnessOf(RankId rank, const Action& action) const;
  // How many there are to tell apart; at least 1.
  int count() const { return count_; }
  // Of shade 0 <= i < count().
  double Lightness(int shade) const;
  // "chunk" or "copy".
  std::string noun() const { return copies_ ? "copy" : "chunk"; }

 private:
  // Index is rank; the stages that it holds, ascending.
  std::vector<std::vector<StageId>> held_;
  // Ranks hold several stages of which others hold copies: bidirectional.
  bool copies_ = false;
  // Index is the microbatch: the copy that it goes through, told by the rank
  // that runs its first stage.
  std::vector<int> copy_of_;
  int count_ = 1;
};

// The colour of an action's box.
Colour BoxColour(ColourBy by, const Shades& shades, RankId rank,
                 const Action& action);

}  // namespace penstock

#endif  // PENSTOCK_SCHEDULE_SIMULATOR_SVG_COLOURS_H_
