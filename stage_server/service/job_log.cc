#include "stage_server/service/job_log.h"

#include <spdlog/sinks/base_sink.h>

#include <mutex>
#include <string>
#include <utility>

#include "absl/time/time.h"

namespace penstock {
namespace {

class JobLogSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit JobLogSink(std::function<void(Event)> post)
      : post_(std::move(post)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const auto level = spdlog::level::to_string_view(message.level);
    post_(OwnLogLine{
        absl::FromChrono(message.time), std::string(level.data(), level.size()),
        std::string(message.payload.data(), message.payload.size())});
  }
  void flush_() override {}

 private:
  const std::function<void(Event)> post_;
};

}  // namespace

spdlog::sink_ptr MakeJobLogSink(std::function<void(Event)> post) {
  return std::make_shared<JobLogSink>(std::move(post));
}

}  // namespace penstock
