#include "stage_server/transport/transport_errors.h"

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace penstock {
namespace {

constexpr char kGoneRank[] = "penstock/gone_rank";

std::string ToString(const MessageFacts& facts) {
  return absl::StrCat(ToString(facts.header), " of ", facts.size_bytes,
                      " bytes");
}

}  // namespace

std::string ToString(const ChannelSpec& channel) {
  return absl::StrCat("channel ", channel.id.value(), " (", channel.label,
                      ") from rank ", channel.from.value(), " to rank ",
                      channel.to.value());
}

std::string ToString(const MessageHeader& header) {
  std::string text = absl::StrCat("step ", header.step);
  if (header.microbatch != -1) {
    absl::StrAppend(&text, " microbatch ", header.microbatch);
  }
  const std::string dtype = DType_Name(header.dtype);
  absl::StrAppend(
      &text, " ",
      dtype.empty() ? absl::StrCat("dtype ", static_cast<int>(header.dtype))
                    : absl::AsciiStrToLower(absl::StripPrefix(dtype, "DTYPE_")),
      "[", absl::StrJoin(header.shape, ","), "]");
  return text;
}

absl::Status CheckMessage(const ChannelSpec& channel,
                          const MessageFacts& expected,
                          const MessageFacts& got) {
  if (expected == got) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(ToString(channel), ": expected ",
                                          ToString(expected), ", got ",
                                          ToString(got)));
}

absl::Status DeadlinePassed(absl::string_view verb, const ChannelSpec& channel,
                            const MessageHeader& header) {
  return absl::DeadlineExceededError(
      absl::StrCat(verb, " on ", ToString(channel), " of ", ToString(header),
                   " was not complete at its deadline"));
}

absl::Status ConnectDeadlinePassed(RankId peer, const ChannelSpec& channel) {
  return absl::DeadlineExceededError(
      absl::StrCat("rank ", peer.value(), " could not be reached: no greeting ",
                   "on ", ToString(channel), " before the deadline"));
}

absl::Status PeerGone(RankId peer, absl::string_view evidence) {
  absl::Status status = absl::UnavailableError(
      absl::StrCat("rank ", peer.value(), " is gone: ", evidence));
  status.SetPayload(kGoneRank, absl::Cord(absl::StrCat(peer.value())));
  return status;
}

std::optional<RankId> GoneRank(const absl::Status& status) {
  const auto payload = status.GetPayload(kGoneRank);
  int rank = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &rank)) {
    return std::nullopt;
  }
  return RankId(rank);
}

absl::Status WrongSecret(RankId peer, const ChannelSpec& channel) {
  return absl::PermissionDeniedError(
      absl::StrCat("rank ", peer.value(), " showed another epoch secret on ",
                   ToString(channel)));
}

absl::Status UnknownRequest(RequestId request) {
  return absl::InvalidArgumentError(
      absl::StrCat("request ", request, " is not pending on this transport"));
}

}  // namespace penstock
