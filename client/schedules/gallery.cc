#include "client/schedules/gallery.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_context.h"
#include "base/status_macros.h"
#include "client/schedules/comparison.h"
#include "schedule/generators/registry.h"
#include "schedule/simulator/svg.h"

namespace penstock {
namespace {

constexpr absl::string_view kEnd = "<!-- end -->";
// Enough to see a period of a continuous schedule and the next.
constexpr int kPicturePeriods = 2;
// Of the table: as many updates as a short run has.
constexpr int kTablePeriods = 4;
constexpr double kHop = 0.1;

// "--ranks 4 --param a=b" by flag; several of a flag in order.
absl::StatusOr<std::multimap<std::string, std::string>> FlagsOf(
    const std::vector<std::string>& words, size_t first) {
  std::multimap<std::string, std::string> flags;
  for (size_t i = first; i < words.size(); i += 2) {
    if (!absl::StartsWith(words[i], "--") || i + 1 == words.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected --flag value, got \"", words[i], "\""));
    }
    flags.emplace(words[i].substr(2), words[i + 1]);
  }
  return flags;
}

absl::StatusOr<int> CountOf(const std::string& text) {
  int count = 0;
  if (absl::SimpleAtoi(text, &count) && count >= 1) return count;
  return absl::InvalidArgumentError(
      absl::StrCat("expected a number of at least 1, got \"", text, "\""));
}

absl::Status ApplyFlag(const std::string& flag, const std::string& value,
                       ComparisonRequest* request) {
  if (flag == "param") {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(value, absl::MaxSplits('=', 1));
    request->generator.parameters.insert(pair);
    return absl::OkStatus();
  }
  PENSTOCK_ASSIGN_OR_RETURN(const int count, CountOf(value));
  if (flag == "ranks") {
    request->generator.num_ranks = count;
  } else if (flag == "microbatches") {
    request->generator.num_microbatches = count;
  } else if (flag == "periods") {
    request->periods = count;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("no flag --", flag,
                     "; there are --ranks, --microbatches, --param, "
                     "--periods"));
  }
  return absl::OkStatus();
}

// Draws the picture of a marker's words and answers the page's line for it.
absl::StatusOr<std::string> Picture(const std::vector<std::string>& words,
                                    Gallery* gallery) {
  if (words.size() < 2) {
    return absl::InvalidArgumentError("a picture wants a schedule's name");
  }
  const std::string& name = words[1];
  ComparisonRequest request;
  request.sources = {name};
  request.periods = kPicturePeriods;
  PENSTOCK_ASSIGN_OR_RETURN(const auto flags, FlagsOf(words, 2));
  for (const auto& [flag, value] : flags) {
    PENSTOCK_RETURN_IF_ERROR(ApplyFlag(flag, value, &request));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ComparedSchedule> drawn,
                            Compare(request));
  const ContinuousReport& run = *drawn[0].run;
  std::string file = name;
  for (const auto& [parameter, value] : request.generator.parameters) {
    absl::StrAppend(&file, "-", parameter, "-", value);
  }
  const std::string path = absl::StrCat("images/schedules/", file, ".svg");
  gallery->pictures[path] = TimelineSvg({{.title = name,
                                          .schedule = &run.run,
                                          .timeline = &run.report.timeline}});
  return absl::StrCat("![", file, " on ", request.generator.num_ranks,
                      " ranks](", path, ")\n");
}

std::string Percent(double part) {
  return absl::StrFormat("%.1f %%", 100 * part);
}

// "0", "3", "0 to 3": updates that the weights are behind, by stage.
std::string Staleness(const Schedule& run) {
  if (run.versions.empty()) return "0";
  int least = run.versions[0].delay, most = least;
  for (const VersionRule& rule : run.versions) {
    least = std::min(least, rule.delay);
    most = std::max(most, rule.delay);
  }
  return least == most ? absl::StrCat(most) : absl::StrCat(least, " to ", most);
}

double MostInFlight(const TimelineSummary& summary) {
  double most = 0;
  for (const RankSummary& rank : summary.ranks) {
    most = std::max(most, rank.peak_in_flight);
  }
  return most;
}

// Messages of a microbatch on its way forward.
double HopsOf(const ContinuousReport& run) {
  const std::vector<Transfer>& transfers = run.report.timeline.transfers;
  const auto forward = std::count_if(
      transfers.begin(), transfers.end(),
      [](const Transfer& transfer) { return !transfer.backward; });
  return static_cast<double>(forward) / run.run.num_microbatches;
}

absl::StatusOr<std::string> TableFor(int ranks) {
  ComparisonRequest request;
  for (const GeneratorInfo& generator : Generators()) {
    request.sources.push_back(generator.name);
  }
  request.generator.num_ranks = ranks;
  request.generator.num_microbatches = 2 * ranks;
  request.periods = kTablePeriods;
  request.record_transfers = true;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ComparedSchedule> free,
                            Compare(request));
  request.costs.times.hop = kHop;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ComparedSchedule> slow,
                            Compare(request));
  std::string table = absl::StrCat(
      "\np = ", ranks, ", m = ", 2 * ranks, ":\n\n",
      "| schedule | stages a rank | bubble | with hop 0.1 | span bubble | in "
      "flight | hops | staleness |\n|---|---|---|---|---|---|---|---|\n");
  for (size_t i = 0; i < free.size(); ++i) {
    const TimelineSummary& summary = free[i].run->report.summary;
    absl::StrAppendFormat(
        &table, "| [%s](#%s) | %d | %s | %s | %s | %.4g | %.4g | %s |\n",
        free[i].name, free[i].name, free[i].num_stages / ranks,
        Percent(summary.sync_bubble),
        Percent(slow[i].run->report.summary.sync_bubble),
        Percent(summary.span_bubble), MostInFlight(summary),
        HopsOf(*free[i].run), Staleness(free[i].run->run));
  }
  return table;
}

absl::StatusOr<std::string> Table(const std::vector<std::string>& words) {
  PENSTOCK_ASSIGN_OR_RETURN(const auto flags, FlagsOf(words, 1));
  if (flags.size() != 1 || flags.begin()->first != "ranks") {
    return absl::InvalidArgumentError("a table wants --ranks 4,8");
  }
  std::string tables = absl::StrCat(
      "Times tF = tI = tW = 1. *Hops*: messages of a microbatch on its way "
      "forward.\n*Staleness*: updates that the weights are behind. Continuous "
      "schedules: a run of\n",
      kTablePeriods, " periods, filling and draining included.\n");
  for (absl::string_view word : absl::StrSplit(flags.begin()->second, ',')) {
    PENSTOCK_ASSIGN_OR_RETURN(const int ranks, CountOf(std::string(word)));
    PENSTOCK_ASSIGN_OR_RETURN(const std::string table, TableFor(ranks));
    tables += table;
  }
  return tables;
}

// What stands after the marker; unset words: the line is no marker.
absl::StatusOr<std::string> Made(const std::vector<std::string>& words,
                                 Gallery* gallery) {
  return words[0] == "picture" ? Picture(words, gallery) : Table(words);
}

std::vector<std::string> MarkerWords(absl::string_view line) {
  if (!absl::ConsumePrefix(&line, "<!-- ") ||
      !absl::ConsumeSuffix(&line, " -->")) {
    return {};
  }
  std::vector<std::string> words =
      absl::StrSplit(line, ' ', absl::SkipWhitespace());
  if (words.empty() || (words[0] != "picture" && words[0] != "table")) {
    return {};
  }
  return words;
}

}  // namespace

absl::StatusOr<Gallery> MakeGallery(absl::string_view page) {
  Gallery gallery;
  std::vector<absl::string_view> lines = absl::StrSplit(page, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    absl::StrAppend(&gallery.page, lines[i], i + 1 < lines.size() ? "\n" : "");
    const std::vector<std::string> words = MarkerWords(lines[i]);
    if (words.empty()) continue;
    const std::string where = absl::StrCat("line ", i + 1);
    absl::StatusOr<std::string> made = Made(words, &gallery);
    if (!made.ok()) return WithContext(made.status(), where);
    absl::StrAppend(&gallery.page, *made, kEnd, "\n");
    do {
      if (++i >= lines.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": no line ", kEnd, " follows the marker"));
      }
    } while (lines[i] != kEnd);
  }
  return gallery;
}

}  // namespace penstock
