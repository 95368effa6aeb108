#include "harness/measure/calibration.hpp"

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "common/clock.hpp"
#include "common/socket.hpp"
#include "harness/measure/statistics.hpp"
#include "harness/process.hpp"

namespace bench {
namespace {

/// Nanoseconds per call of `job`: the median of some runs.
template <class F>
double time_of(int calls, F&& job) {
  std::vector<double> runs;
  for (int run = 0; run < 9; ++run) {
    const auto start = now_ns();
    for (int i = 0; i < calls; ++i) job();
    runs.push_back(static_cast<double>(now_ns() - start) / calls);
  }
  return median_of(runs);
}

double enter_time() {
  io_uring ring;
  if (::io_uring_queue_init(8, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) < 0) return 0;
  ::io_uring_register_ring_fd(&ring);
  const double ns = time_of(20'000, [&] { ::io_uring_get_events(&ring); });
  ::io_uring_queue_exit(&ring);
  return ns;
}

double copy_rate(std::size_t bytes, int copies) {
  std::vector<char> from(bytes, 'x');
  std::vector<char> to(bytes, 'y');
  const double ns = time_of(copies, [&] {
    std::memcpy(to.data(), from.data(), bytes);
    asm volatile("" : : "r"(to.data()) : "memory");
  });
  return static_cast<double>(bytes) / ns;
}

struct hiccups {
  double lost_per_second_ns = 0;
  double longest_ns = 0;
};

/// Interruptions of a loop that does nothing: the floor under every latency's tail.
hiccups look_for_hiccups() {
  constexpr std::uint64_t span = 500'000'000;
  constexpr std::uint64_t shortest = 10'000;
  std::uint64_t lost = 0;
  std::uint64_t longest = 0;
  const std::uint64_t start = now_ns();
  for (std::uint64_t last = start; last < start + span;) {
    const std::uint64_t now = now_ns();
    const std::uint64_t gap = now - last;
    if (gap > shortest) lost += gap;
    longest = std::max(longest, gap);
    last = now;
  }
  return {.lost_per_second_ns = static_cast<double>(lost) * 1e9 / span, .longest_ns = static_cast<double>(longest)};
}

/// Half a round trip between two threads that each block until the other has written.
double wake_time() {
  constexpr int trips = 2000;
  const descriptor ping(check(::eventfd(0, EFD_CLOEXEC), "eventfd"));
  const descriptor pong(check(::eventfd(0, EFD_CLOEXEC), "eventfd"));
  const auto pass = [](int from, int to) {
    std::uint64_t count = 0;
    check(::read(from, &count, sizeof count), "read");
    check(::write(to, &count, sizeof count), "write");
  };
  std::thread other([&] {
    pin({std::thread::hardware_concurrency() > 1 ? 1 : 0});
    for (int i = 0; i < trips; ++i) pass(ping.get(), pong.get());
  });
  const std::uint64_t one = 1;
  const auto start = now_ns();
  check(::write(ping.get(), &one, sizeof one), "write");
  for (int i = 1; i < trips; ++i) pass(pong.get(), ping.get());
  other.join();
  return static_cast<double>(now_ns() - start) / (2 * trips);
}

}  // namespace

calibration calibrate() {
  const hiccups seen = look_for_hiccups();
  return {.null_syscall_ns = time_of(50'000, [] { ::syscall(SYS_getppid); }),
          .enter_ns = enter_time(),
          .clock_ns = time_of(50'000, [] { now_ns(); }),
          .memcpy_cached = copy_rate(256 << 10, 2000),
          .memcpy_memory = copy_rate(256 << 20, 2),
          .lost_per_second_ns = seen.lost_per_second_ns,
          .longest_gap_ns = seen.longest_ns,
          .wake_ns = wake_time()};
}

}  // namespace bench
