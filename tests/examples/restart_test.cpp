// examples/restart.cpp replaces itself under a steady stream of samples: each is counted once, by one process. 5
// restarts under 20,000 samples a second; 100 under 300,000 with URING6_LONG=1 (`tools/test --long`).
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "examples/showcase.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/process/long_run.hpp"
#include "support/process/program.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Sends numbered samples at an even rate, those of a millisecond as trains of at most 64.
class samples {
 public:
  samples(const endpoint& to, std::uint64_t per_second) : per_second_(per_second), fd_(datagram_client()) {
    or_throw(connect_socket(fd_.get(), to));
    const int segment = sizeof(std::uint64_t);
    REQUIRE(::setsockopt(fd_.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  std::uint64_t sent() const noexcept { return sent_; }
  std::uint64_t refused() const noexcept { return refused_; }
  /// Samples a second, of the whole time.
  double rate() const noexcept { return static_cast<double>(sent_) / std::chrono::duration<double>(took_).count(); }
  void end() {
    thread_.request_stop();
    thread_.join();
  }

 private:
  void run(const std::stop_token& stop) {
    const auto began = steady_clock::now();
    for (auto tick = began; !stop.stop_requested(); std::this_thread::sleep_until(tick += 1ms)) {
      const auto due = static_cast<std::uint64_t>((steady_clock::now() - began) / 1us) * per_second_ / 1'000'000;
      while (sent_ < due && !stop.stop_requested()) send_train(std::min<std::uint64_t>(due - sent_, train_.size()));
    }
    took_ = steady_clock::now() - began;
  }

  void send_train(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) train_[i] = sent_ + i;
    const auto octets = static_cast<ssize_t>(count * sizeof(std::uint64_t));
    if (::send(fd_.get(), train_.data(), static_cast<std::size_t>(octets), 0) == octets) {
      sent_ += count;
    } else {
      ++refused_;
    }
  }

  std::uint64_t per_second_;
  file_descriptor fd_;
  std::array<std::uint64_t, 64> train_{};
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> refused_{0};
  steady_clock::duration took_{};  // of the thread; read after its end
  std::jthread thread_;
};

/// The processes of the service, by what they write into one file in memory.
class generations {
 public:
  explicit generations(const char* address) : first_({EXAMPLE_RESTART, address}, {.output_file = name_}) {}
  ~generations() {
    // A failed test leaves a process that `first_` does not know.
    const auto all = serving();
    if (!all.empty() && all.back() != first_.id() && !ended(all.back())) ::kill(all.back(), SIGKILL);
  }

  std::string text() const {
    std::ifstream now(name_);
    return std::string(std::istreambuf_iterator<char>(now), {});
  }

  /// The processes that have said that they serve, in order.
  std::vector<pid_t> serving() const {
    std::vector<pid_t> found;
    std::istringstream lines(text());
    for (std::string line; std::getline(lines, line);) {
      int process = 0;
      int length = 0;
      if (std::sscanf(line.c_str(), "process %d serves%n", &process, &length) == 1 && length > 0)
        found.push_back(process);
    }
    return found;
  }

  struct count {
    int process = 0;
    std::uint64_t samples = 0;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t out_of_order = 0;
    double began = 0;    // milliseconds of CLOCK_MONOTONIC
    double ended = 0;    // the same
    double silence = 0;  // milliseconds
  };
  /// What the processes that have ended counted, in the order of the samples.
  std::vector<count> counts() const {
    std::vector<count> found;
    std::istringstream lines(text());
    for (std::string line; std::getline(lines, line);) {
      count one;
      unsigned long long samples = 0, first = 0, last = 0, wrong = 0;
      if (std::sscanf(line.c_str(),
                      "process %d counted %llu from %llu to %llu, %llu out of order, between %lf ms and %lf ms, silent "
                      "for %lf ms",
                      &one.process, &samples, &first, &last, &wrong, &one.began, &one.ended, &one.silence) != 8)
        continue;
      one.samples = samples, one.first = first, one.last = last, one.out_of_order = wrong;
      found.push_back(one);
    }
    std::ranges::sort(found, {}, [](const count& each) { return each.first; });
    return found;
  }

  /// The pid exists, and is no zombie.
  static bool ended(pid_t process) {
    std::ifstream status("/proc/" + std::to_string(process) + "/stat");
    std::string all;
    if (!std::getline(status, all)) return true;
    return all.substr(all.rfind(')') + 2, 1) == "Z";
  }

  program& first() noexcept { return first_; }

 private:
  file_descriptor fd_{::memfd_create("output", MFD_CLOEXEC)};
  std::string name_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
  program first_;
};

TEST_CASE("the service that replaces itself counts each sample once", "[long]") {
  const std::size_t restarts = long_run() ? 100 : 5;
  const std::uint64_t per_second = long_run() ? 300'000 : 20'000;
  const network_namespace space;
  const auto inside = space.enter();
  generations service("[::1]:7777");
  REQUIRE(eventually([&] { return service.serving().size() == 1; }));
  samples stream({ip_address::loopback(), showcase_port}, per_second);
  for (std::size_t i = 1; i <= restarts; ++i) {
    // Under load: each process has counted some samples before it is replaced.
    const std::uint64_t before = stream.sent();
    REQUIRE(eventually([&] { return stream.sent() > before + per_second / 50; }));
    REQUIRE(::kill(service.serving().back(), SIGHUP) == 0);
    INFO(service.text());
    REQUIRE(eventually([&] { return service.serving().size() == i + 1; }, 60s));
    REQUIRE(eventually([&] { return service.counts().size() >= i; }, 60s));
  }
  stream.end();
  const pid_t last = service.serving().back();
  REQUIRE(::kill(last, SIGTERM) == 0);
  REQUIRE(eventually([&] { return service.counts().size() == restarts + 1; }, 60s));
  REQUIRE(eventually([&] { return generations::ended(last); }));
  CHECK(service.first().wait().exit_status == 0);

  INFO(service.text());
  auto counts = service.counts();
  // One that was replaced before it got the processor has handed all over.
  std::erase_if(counts, [](const generations::count& each) { return each.samples == 0; });
  REQUIRE(!counts.empty());
  std::uint64_t counted = 0;
  std::uint64_t next = 0;
  double silence = 0;
  double since = counts.front().began;
  for (const generations::count& each : counts) {
    CHECK(each.out_of_order == 0);
    CHECK(each.first == next);
    counted += each.samples;
    next = each.last + 1;
    silence = std::max({silence, each.silence, each.began - since});
    since = each.ended;
  }
  CHECK(stream.refused() == 0);
  CHECK(counted == stream.sent());
  CHECK(next == stream.sent());
  std::printf("# %zu restarts under %.0f samples a second: %llu sent, %llu counted, the longest silence %.1f ms\n",
              restarts, stream.rate(), static_cast<unsigned long long>(stream.sent()),
              static_cast<unsigned long long>(counted), silence);
}

TEST_CASE("the service that cannot be replaced goes on") {
  const network_namespace space;
  const auto inside = space.enter();
  // A second name of the program, which the test takes away.
  const std::filesystem::path name = std::filesystem::temp_directory_path() / ("restart-" + std::to_string(::getpid()));
  std::filesystem::create_symlink(EXAMPLE_RESTART, name);
  program service({name.string(), "[::1]:7777"});
  REQUIRE(eventually([] { return listeners("udp6") == 1; }));
  std::filesystem::remove(name);
  const std::string serves = "process " + std::to_string(service.id()) + " serves\n";
  REQUIRE(service.writes(serves.size()));
  const file_descriptor client = datagram_client();
  const endpoint to{ip_address::loopback(), showcase_port};
  or_throw(connect_socket(client.get(), to));
  service.send_signal(SIGHUP);
  for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(::send(client.get(), &i, sizeof i, 0) == sizeof i);
  service.send_signal(SIGTERM);
  const program_end end = service.wait();
  CHECK(end.exit_status == 0);
  CHECK(end.output.find(" counted 10 from 0 to 9, 0 out of order") != std::string::npos);
  CHECK(end.errors.find("successor::start " + name.string()) != std::string::npos);
}

}  // namespace
