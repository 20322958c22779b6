#include "schedule/verifier/comm_pairing.h"

#include <algorithm>
#include <map>
#include <optional>
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
  RankId rank;
  int position;
};

// One direction of an edge between two ranks, in the lists' order.
struct Channel {
  std::vector<Post> sends, receives;
};

// Edge, whether backward, sending rank, receiving rank.
using ChannelKey = std::tuple<int, bool, int, int>;

using MicrobatchCounts = absl::flat_hash_map<MicrobatchId, int>;

MicrobatchCounts CountsOf(const std::vector<Post>& posts) {
  MicrobatchCounts counts;
  for (const Post& post : posts) ++counts[post.microbatch];
  return counts;
}

class PairingCheck {
 public:
  PairingCheck(const Subject& subject, std::vector<Violation>* all)
      : subject_(subject), found_("comm_pairing", all) {}

  void Run() {
    for (const RankId rank : subject_.ranks()) CollectPosts(rank);
    for (const auto& [key, channel] : channels_) {
      FindDoubles(channel.sends);
      FindDoubles(channel.receives);
      if (ListIsThere(std::get<2>(key)) && ListIsThere(std::get<3>(key))) {
        CheckBothEnds(channel);
      }
    }
    const std::vector<Edge>& edges = subject_.schedule().edges;
    for (size_t i = 0; i < edges.size() && !found_.full(); ++i) {
      if (const auto ends = subject_.CrossingEnds(edges[i])) {
        FindMissing(static_cast<int>(i), /*backward=*/false, ends->from,
                    ends->to);
        FindMissing(static_cast<int>(i), /*backward=*/true, ends->to,
                    ends->from);
      }
    }
  }

 private:
  bool ListIsThere(int rank) const {
    const std::vector<RankId>& ranks = subject_.ranks();
    return std::binary_search(ranks.begin(), ranks.end(), RankId(rank));
  }

  void CollectPosts(RankId rank) {
    const std::vector<Action>& actions = subject_.actions(rank);
    for (size_t i = 0; i < actions.size(); ++i) {
      const Action& action = actions[i];
      const bool send = IsSend(action.op);
      if ((!send && !IsReceive(action.op)) ||
          !subject_.IsPlaced(rank, action)) {
        continue;
      }
      const bool backward =
          action.op == Op::kSendBackward || action.op == Op::kReceiveBackward;
      const RankId from = send ? rank : action.peer;
      const RankId to = send ? action.peer : rank;
      Channel& channel = channels_[ChannelKey(action.edge.value(), backward,
                                              from.value(), to.value())];
      (send ? channel.sends : channel.receives)
          .push_back({action.microbatch, rank, static_cast<int>(i)});
    }
  }

  std::string TextOf(const Post& post) const {
    return subject_.TextOf(subject_.actions(post.rank)[post.position]);
  }

  void FindDoubles(const std::vector<Post>& posts) {
    MicrobatchCounts counts;
    for (const Post& post : posts) {
      if (++counts[post.microbatch] == 2) {
        found_.Add(post.rank, post.position,
                   absl::StrCat(TextOf(post), " is there twice"));
      }
    }
  }

  void FindUnpaired(const std::vector<Post>& posts,
                    const std::vector<Post>& others, absl::string_view other) {
    MicrobatchCounts left = CountsOf(others);
    for (const Post& post : posts) {
      if (--left[post.microbatch] < 0) {
        found_.Add(post.rank, post.position,
                   absl::StrCat(TextOf(post), " has no ", other));
      }
    }
  }

  void CheckBothEnds(const Channel& channel) {
    FindUnpaired(channel.sends, channel.receives, "receive");
    FindUnpaired(channel.receives, channel.sends, "send");
    if (CountsOf(channel.sends) != CountsOf(channel.receives)) return;
    for (size_t i = 0; i < channel.sends.size(); ++i) {
      const Post& send = channel.sends[i];
      const Post& receive = channel.receives[i];
      if (send.microbatch == receive.microbatch) continue;
      found_.Add(receive.rank, receive.position,
                 absl::StrCat(TextOf(receive), " would get message ", i,
                              " of its channel, which is ", TextOf(send),
                              " of r", send.rank.value(),
                              "; want the same order at both ends"));
      return;
    }
  }

  // What an edge between two ranks should carry in one direction and does not.
  void FindMissing(int index, bool backward, RankId from, RankId to) {
    const Edge& edge = subject_.schedule().edges[index];
    const bool tied = edge.kind == EdgeKind::kTiedWeight;
    if (!subject_.lowered()) return;
    if (!ListIsThere(from.value()) && !ListIsThere(to.value())) return;
    const auto it =
        channels_.find(ChannelKey(index, backward, from.value(), to.value()));
    const Channel none;
    const Channel& channel = it == channels_.end() ? none : it->second;
    const MicrobatchCounts sends = CountsOf(channel.sends);
    const MicrobatchCounts receives = CountsOf(channel.receives);
    const int first = tied ? kWholeStep.value() : 0;
    const int end = tied ? 0 : subject_.schedule().num_microbatches;
    for (int b = first; b < end && !found_.full(); ++b) {
      const MicrobatchId microbatch(b);
      if (ListIsThere(from.value()) && !sends.contains(microbatch)) {
        Missing(backward ? Op::kSendBackward : Op::kSendForward,
                backward ? edge.to : edge.from, microbatch, index, from, to);
      }
      if (ListIsThere(to.value()) && !receives.contains(microbatch)) {
        Missing(backward ? Op::kReceiveBackward : Op::kReceiveForward,
                backward ? edge.from : edge.to, microbatch, index, to, from);
      }
    }
  }

  void Missing(Op op, StageId stage, MicrobatchId microbatch, int edge,
               RankId rank, RankId peer) {
    const Action action =
        Communicate(op, stage, microbatch, EdgeId(edge), peer);
    found_.Add(rank, -1, absl::StrCat(subject_.TextOf(action), " is missing"));
  }

  const Subject& subject_;
  RuleViolations found_;
  std::map<ChannelKey, Channel> channels_;
};

}  // namespace

void CheckCommPairing(const Subject& subject, std::vector<Violation>* all) {
  PairingCheck(subject, all).Run();
}

}  // namespace penstock
