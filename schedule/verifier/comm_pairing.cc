#include "schedule/verifier/comm_pairing.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "schedule/ir/text_format.h"

namespace penstock {
namespace {

// A communication action and where it stands.
struct Post {
  MicrobatchId microbatch;
  Half half;
  // Of a tied weight in a continuous schedule; else 0.
  int version;
  RankId rank;
  int position;
};

// Which message of its channel.
using MessageKey = std::tuple<int, Half, int>;

MessageKey KeyOf(const Post& post) {
  return {post.microbatch.value(), post.half, post.version};
}

bool IsSameMessage(const Post& a, const Post& b) {
  return KeyOf(a) == KeyOf(b);
}

// One direction of an edge between two ranks, in the lists' order.
struct Channel {
  std::vector<Post> sends, receives;
};

// Edge, whether backward, sending rank, receiving rank.
using ChannelKey = std::tuple<int, bool, int, int>;

using MessageCounts = absl::flat_hash_map<MessageKey, int>;

MessageCounts CountsOf(const std::vector<Post>& posts) {
  MessageCounts counts;
  for (const Post& post : posts) ++counts[KeyOf(post)];
  return counts;
}

bool IsGradient(Op op) {
  return op == Op::kSendBackward || op == Op::kReceiveBackward;
}

// What of an edge and microbatch stands in the lists, two bits (the halves) for
// each of SF, RF, SB and RB.
int ShiftOf(Op op) {
  switch (op) {
    case Op::kSendForward:
      return 0;
    case Op::kReceiveForward:
      return 2;
    case Op::kSendBackward:
      return 4;
    default:
      return 6;
  }
}

int HalvesOf(Half half) {
  return half == Half::kWhole ? 3 : half == Half::kFirst ? 1 : 2;
}

class PairingCheck {
 public:
  PairingCheck(const Subject& subject, std::vector<Violation>* all)
      : subject_(subject),
        found_("comm_pairing", all),
        posted_(static_cast<int64_t>(subject.schedule().edges.size()),
                subject.schedule().num_microbatches, subject.num_actions()) {}

  void Run() {
    for (const RankId rank : subject_.ranks()) CollectPosts(rank);
    std::vector<ChannelKey> keys;
    for (const auto& [key, channel] : channels_) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    for (const ChannelKey& key : keys) {
      if (subject_.ListIsThere(RankId(std::get<2>(key))) &&
          subject_.ListIsThere(RankId(std::get<3>(key)))) {
        CheckBothEnds(channels_.at(key));
      }
    }
    const std::vector<Edge>& edges = subject_.schedule().edges;
    for (size_t i = 0; i < edges.size() && !found_.full(); ++i) {
      if (!subject_.IsSound(edges[i])) continue;
      if (edges[i].kind == EdgeKind::kActivation) {
        FindMissing(static_cast<int>(i));
      } else {
        FindMissingTied(static_cast<int>(i));
      }
    }
  }

 private:
  void CollectPosts(RankId rank) {
    const std::vector<Action>& actions = subject_.actions(rank);
    for (size_t i = 0; i < actions.size(); ++i) {
      const Action& action = actions[i];
      const bool send = IsSend(action.op);
      if ((!send && !IsReceive(action.op)) ||
          !subject_.IsPlaced(rank, action)) {
        continue;
      }
      const int position = static_cast<int>(i);
      const RankId from = send ? rank : action.peer;
      const RankId to = send ? action.peer : rank;
      const int edge = action.edge.value();
      Channel& channel = channels_[ChannelKey(edge, IsGradient(action.op),
                                              from.value(), to.value())];
      (send ? channel.sends : channel.receives)
          .push_back({action.microbatch, action.half,
                      action.version.value_or(0), rank, position});
      if (IsThereAlready(rank, action)) {
        found_.Add(rank, position,
                   absl::StrCat(subject_.TextOf(action), " is there twice"));
      }
    }
  }

  // Notes the message as there.
  bool IsThereAlready(RankId rank, const Action& action) {
    const int edge = action.edge.value();
    if (action.microbatch == kWholeStep) {
      // An end that sends may send to several; one that receives, from one.
      const int peer = IsSend(action.op) ? action.peer.value() : -1;
      return ++tied_[{edge, action.op, rank.value(), peer,
                      action.version.value_or(0)}] > 1;
    }
    uint8_t& posted = posted_.At(edge, action.microbatch.value());
    const int bits = HalvesOf(action.half) << ShiftOf(action.op);
    const bool already = (posted & bits) != 0;
    posted |= bits;
    return already;
  }

  std::string TextOf(const Post& post) const {
    return subject_.TextOf(subject_.actions(post.rank)[post.position]);
  }

  void FindUnpaired(const std::vector<Post>& posts,
                    const std::vector<Post>& others, absl::string_view other) {
    MessageCounts left = CountsOf(others);
    for (const Post& post : posts) {
      if (--left[KeyOf(post)] < 0) {
        found_.Add(post.rank, post.position,
                   absl::StrCat(TextOf(post), " has no ", other));
      }
    }
  }

  void CheckBothEnds(const Channel& channel) {
    const std::vector<Post>& sends = channel.sends;
    const std::vector<Post>& receives = channel.receives;
    const auto [send, receive] =
        std::mismatch(sends.begin(), sends.end(), receives.begin(),
                      receives.end(), IsSameMessage);
    if (send == sends.end() && receive == receives.end()) return;
    FindUnpaired(sends, receives, "receive");
    FindUnpaired(receives, sends, "send");
    if (CountsOf(sends) != CountsOf(receives)) return;
    found_.Add(receive->rank, receive->position,
               absl::StrCat(TextOf(*receive), " would get message ",
                            send - sends.begin(), " of its channel, which is ",
                            TextOf(*send), " of r", send->rank.value(),
                            "; want the same order at both ends"));
  }

  // Whether the edge's two ends of a microbatch are on different ranks, as far
  // as the lists that are there tell.
  bool Crosses(RankId from, RankId to) const {
    if (from == to) return false;
    const bool known = from.value() >= 0 && to.value() >= 0;
    return known || !subject_.AllListsThere();
  }

  // Whether a list is there that may have an end of the edge.
  bool MayBeThere(const Edge& edge) const {
    if (subject_.AllListsThere()) return true;
    return std::any_of(subject_.ranks().begin(), subject_.ranks().end(),
                       [&](RankId rank) {
                         return subject_.Holds(rank, edge.from) ||
                                subject_.Holds(rank, edge.to);
                       });
  }

  void FindMissing(int index) {
    const Edge& edge = subject_.schedule().edges[index];
    if (!subject_.lowered() || !MayBeThere(edge)) return;
    // More microbatches than actions: a hundred of the first ones lack theirs.
    const int end = static_cast<int>(
        std::min<int64_t>(subject_.schedule().num_microbatches,
                          static_cast<int64_t>(subject_.num_actions()) + 100));
    for (int b = 0; b < end && !found_.full(); ++b) {
      const RankId from = subject_.HolderOf(edge.from, b);
      const RankId to = subject_.HolderOf(edge.to, b);
      if (!Crosses(from, to)) {
        if (!subject_.IsShared(edge.from) && !subject_.IsShared(edge.to)) {
          return;
        }
        continue;
      }
      const uint8_t posted = posted_.Get(index, b);
      if (posted == 0xff) continue;
      Missing(Op::kSendForward, posted, index, b, from, to);
      Missing(Op::kReceiveForward, posted, index, b, to, from);
      Missing(Op::kSendBackward, posted, index, b, to, from);
      Missing(Op::kReceiveBackward, posted, index, b, from, to);
    }
  }

  void Missing(Op op, uint8_t posted, int edge, int microbatch, RankId rank,
               RankId peer) {
    if (!subject_.ListIsThere(rank)) return;
    const int missing = 3 & ~(posted >> ShiftOf(op));
    if (missing == 0) return;
    const Edge& named = subject_.schedule().edges[edge];
    const bool at_maker = op == Op::kSendForward || op == Op::kReceiveBackward;
    Action action = Communicate(op, at_maker ? named.from : named.to,
                                MicrobatchId(microbatch), EdgeId(edge), peer);
    if (missing != 3) {
      action.half = missing == 1 ? Half::kFirst : Half::kSecond;
    }
    found_.Add(rank, -1, absl::StrCat(subject_.TextOf(action), " is missing"));
  }

  // Receives only: a send that is not there leaves a receive unpaired. Those of
  // a continuous schedule: the rule tied_weight.
  void FindMissingTied(int index) {
    if (!subject_.lowered() || subject_.schedule().is_continuous()) return;
    const Edge& edge = subject_.schedule().edges[index];
    FindMissingTied(Op::kReceiveBackward, index, edge.from, edge.to);
    FindMissingTied(Op::kReceiveForward, index, edge.to, edge.from);
  }

  void FindMissingTied(Op op, int index, StageId stage, StageId other) {
    for (const RankId rank : subject_.schedule().placement[stage.value()]) {
      if (found_.full()) return;
      if (!subject_.ListIsThere(rank) || subject_.Holds(rank, other) ||
          tied_.contains({index, op, rank.value(), -1, 0})) {
        continue;
      }
      const std::vector<RankId>& peers =
          subject_.schedule().placement[other.value()];
      const Action action = Communicate(op, stage, kWholeStep, EdgeId(index),
                                        peers.empty() ? RankId() : peers[0]);
      found_.Add(rank, -1,
                 absl::StrCat(subject_.TextOf(action), " is missing"));
    }
  }

  const Subject& subject_;
  RuleViolations found_;
  CellTable<uint8_t> posted_;
  // Edge, op, rank, of a send peer, version.
  absl::flat_hash_map<std::tuple<int, Op, int, int, int>, int> tied_;
  absl::flat_hash_map<ChannelKey, Channel> channels_;
};

}  // namespace

void CheckCommPairing(const Subject& subject, std::vector<Violation>* all) {
  PairingCheck(subject, all).Run();
}

}  // namespace penstock
