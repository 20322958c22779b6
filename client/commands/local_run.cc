#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/commands/command.h"
#include "client/commands/run_record.h"
#include "client/commands/timeline_step.h"
#include "client/follow/job_follower.h"
#include "client/local/binaries.h"
#include "client/local/local_cluster.h"
#include "client/render/job_view.h"

namespace penstock {
namespace {

struct RunFlags {
  JobFlags job;
  int stages = 0;
  int servers = 0;
  std::string run_dir;
  std::string bin_dir;
  OutputFormat format = OutputFormat::kText;
};

constexpr absl::Duration kStopGrace = absl::Seconds(5);
// A stage server that ended is noticed by the coordinator within this.
constexpr absl::Duration kCancelGrace = absl::Seconds(15);

// A folder of this run's own. INVALID_ARGUMENT when `wanted` is a used one.
absl::StatusOr<std::string> MakeRunFolder(const std::string& wanted,
                                          const std::string& name,
                                          const Environment& environment) {
  std::string folder = wanted;
  if (folder.empty()) {
    folder =
        absl::StrCat("runs/", name, "-",
                     absl::FormatTime("%Y%m%d-%H%M%S", environment.clock->Now(),
                                      environment.time_zone));
  }
  const std::string path =
      (std::filesystem::path(environment.working_folder) / folder)
          .lexically_normal()
          .string();
  PENSTOCK_RETURN_IF_ERROR(
      MakeFolder(std::filesystem::path(path).parent_path().string()));
  // mkdir settles it when two runs begin in the same second.
  std::string unused = path;
  for (int i = 2; mkdir(unused.c_str(), 0755) != 0; ++i) {
    if (errno != EEXIST) return ErrnoStatus(errno, "make folder", unused);
    if (!wanted.empty()) {
      std::error_code error;
      if (std::filesystem::is_empty(unused, error) && !error) break;
      return absl::InvalidArgumentError(absl::StrCat(
          "--run-dir ", wanted,
          ": wanted a folder that is empty or not there yet, got one with "
          "files in it; name another"));
    }
    unused = absl::StrCat(path, "-", i);
  }
  return unused;
}

// Ends the job when the user or a lost process says so: cancels it, and when
// that takes too long or is asked for again, ends the following too.
class JobEnder {
 public:
  // All outlive this. Watches from now on.
  JobEnder(CoordinatorClient& coordinator, std::string job, std::string key,
           Interrupt& user, LocalCluster& cluster, ProgressView& view,
           Interrupt& stop_following)
      : coordinator_(coordinator),
        job_(std::move(job)),
        key_(std::move(key)),
        cluster_(cluster),
        view_(view),
        stop_following_(stop_following) {
    cluster_.WatchChildren([this](bool is_coordinator) {
      child_ended_ = true;
      if (is_coordinator) stop_following_.Trip();
      wake_.Trip();
    });
    registration_ =
        std::make_unique<Interrupt::Registration>(user.OnTrip([this] {
          if (++user_trips_ > 1) stop_following_.Trip();
          wake_.Trip();
        }));
    thread_ = std::thread([this] { Watch(); });
  }

  // The job has ended.
  ~JobEnder() {
    registration_.reset();
    cluster_.StopWatching();
    done_ = true;
    wake_.Trip();
    thread_.join();
  }

 private:
  void Watch() {
    wake_.WaitFor(absl::InfiniteDuration());
    if (done_) return;
    const bool lost = child_ended_;
    view_.ShowNote(lost ? "a process has ended by itself; ending the job"
                        : "interrupted; ending the job (again to hurry)");
    coordinator_
        .CancelJob(
            job_,
            lost ? "a local process has ended" : "interrupted by the user",
            key_)
        .IgnoreError();
    // The first trip is the one that led here.
    wake_.WaitFor(kCancelGrace, /*seen=*/1);
    if (!done_) stop_following_.Trip();
  }

  CoordinatorClient& coordinator_;
  const std::string job_;
  const std::string key_;
  LocalCluster& cluster_;
  ProgressView& view_;
  Interrupt& stop_following_;
  Interrupt wake_;
  std::atomic<int> user_trips_ = 0;
  std::atomic<bool> child_ended_ = false;
  std::atomic<bool> done_ = false;
  std::unique_ptr<Interrupt::Registration> registration_;
  std::thread thread_;
};

// Submits the job to the cluster and follows it to its end.
absl::StatusOr<FollowedJob> RunJob(CommandContext& context, const Job& job,
                                   LocalCluster& cluster, OutputFormat format) {
  // Not the user's interrupt: the job is cancelled after that.
  Interrupt stop;
  CoordinatorClient coordinator(
      {cluster.address(), "penstock local run"},
      {absl::Seconds(context.timeout_seconds), absl::Seconds(5)}, &stop);
  const Environment& environment = context.environment();
  PENSTOCK_ASSIGN_OR_RETURN(const JobInfo info,
                            coordinator.SubmitJob(job, environment.new_key()));
  const std::unique_ptr<ProgressView> view = context.MakeProgressView(format);
  FollowedJob followed;
  {
    const JobEnder ender(coordinator, info.id(), environment.new_key(),
                         context.interrupt(), cluster, *view, stop);
    followed = FollowJob(coordinator, info, *view, absl::Seconds(20), stop);
  }
  // While there is a coordinator to ask.
  const absl::StatusOr<TimelineStep> step =
      FetchTimelineStep(coordinator, info.id(), std::nullopt);
  if (step.ok()) followed.timeline_svg = TimelineStepSvg(*step);
  return followed;
}

// The run is over and its processes are gone: what is left to say.
ExitCode Report(CommandContext& context, const RunFlags& flags,
                const FollowedJob& followed, const absl::Status& children,
                const std::string& folder) {
  const absl::Status written = WriteRunRecord(folder, followed);
  if (!written.ok()) context.Fail(written);
  PrintSummary(context, flags.format, followed, folder);
  const JobState state = followed.info.state();
  if (!children.ok() && state != JOB_STATE_SUCCEEDED) {
    return context.Fail(children);
  }
  if (IsTerminal(state)) return ExitCodeOf(state);
  if (context.interrupt().tripped()) return ExitCode::kCancelled;
  return context.Fail(followed.status);
}

ExitCode Run(CommandContext& context, const RunFlags& flags) {
  const Environment& environment = context.environment();
  const absl::StatusOr<Job> job = LoadJob(flags.job, flags.stages, environment);
  if (!job.ok()) return context.Fail(job.status());
  const absl::Status tokens = CheckTokens(*job);
  if (!tokens.ok()) return context.Fail(tokens);
  const absl::StatusOr<Binaries> binaries =
      FindBinaries(flags.bin_dir, environment.executable);
  if (!binaries.ok()) {
    // Not a job that was not found.
    return context.Fail(
        absl::FailedPreconditionError(binaries.status().message()));
  }
  const absl::StatusOr<std::string> folder =
      MakeRunFolder(flags.run_dir, job->name(), environment);
  if (!folder.ok()) return context.Fail(folder.status());
  LocalClusterOptions options;
  options.binaries = *binaries;
  options.folder = *folder;
  options.servers =
      std::max({1, flags.servers, CountServers(job->partition())});
  absl::StatusOr<std::unique_ptr<LocalCluster>> cluster =
      LocalCluster::Start(options, context.interrupt());
  if (!cluster.ok()) return context.Fail(cluster.status());
  const absl::StatusOr<FollowedJob> followed =
      RunJob(context, *job, **cluster, flags.format);
  const absl::Status children = (*cluster)->CheckChildren();
  (*cluster)->Stop(kStopGrace, context.interrupt());
  if (!followed.ok()) {
    return context.Fail(children.ok() ? followed.status() : children);
  }
  return Report(context, flags, *followed, children, *folder);
}

}  // namespace

void AddLocalRun(Command local, CommandContext& context) {
  const auto flags = std::make_shared<RunFlags>();
  Command command = AddCommand(
      local, context, "run",
      "Run one job: start a coordinator and stage servers, follow, clean up",
      {"penstock local run deploy/local/jobs/gpt-nano.yaml --stages 2",
       "penstock local run job.yaml --set steps=20 -o json > result.json",
       "penstock local run --emulate profile.json --stages 16 "
       "--set schedule.name=zb_h1"},
      [&context, flags] { return Run(context, *flags); });
  AddJobFlags(command, flags->job);
  command
      .AddOption("--stages", flags->stages,
                 "Stages to cut the model into; the job file's by default")
      .Within(1, 256)
      .TypeName("N");
  command
      .AddOption("--servers", flags->servers,
                 "Stage servers to start; one per rank by default")
      .Within(1, 256)
      .TypeName("N");
  command
      .AddOption("--run-dir", flags->run_dir,
                 "For logs, store, loss.svg, timeline.svg and job.json; "
                 "runs/NAME-TIME by default")
      .TypeName("FOLDER");
  command
      .AddOption("--bin-dir", flags->bin_dir,
                 "Where the other two binaries are; beside this one by "
                 "default")
      .TypeName("FOLDER");
  AddOutputFlag(command, flags->format);
}

}  // namespace penstock
