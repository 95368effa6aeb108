// How a thread without a ring wakes a loop that sleeps in its ring: by an eventfd that the ring reads, as the library
// does, or by a message that the thread sends itself (IORING_REGISTER_SEND_MSG_RING, Linux 6.13). In plain liburing
// calls, so that only the kernel's ways differ.
//
//   bench-wakes [ROUNDS [TRIPS]]    each round: TRIPS wakes by one way, then by the other, then in the other order
//
// The sleeper answers each wake by an eventfd, for which the waking thread waits. Printed for each placement (the two
// threads on two processors, on one) and each way: the median over the blocks of the wall time of a trip, and of the
// processor time of both threads.
#include <fmt/format.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace {

enum class way : std::uint8_t { by_eventfd, by_message };

constexpr unsigned register_send_msg_ring = 31;  // IORING_REGISTER_SEND_MSG_RING, 6.13

void check(long result, const char* what) {
  if (result >= 0) return;
  // liburing returns the negative errno, and -1 (EPERM) by none of the calls here.
  throw std::system_error(result == -1 ? errno : static_cast<int>(-result), std::system_category(), what);
}

std::uint64_t nanoseconds_of(clockid_t clock) {
  timespec now{};
  check(::clock_gettime(clock, &now), "clock_gettime");
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

void pin_to(std::size_t processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  check(::sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
}

std::vector<std::size_t> allowed_processors() {
  cpu_set_t all;
  check(::sched_getaffinity(0, sizeof all, &all), "sched_getaffinity");
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &all)) found.push_back(i);
  }
  return found;
}

std::uint64_t take_signal(int eventfd) {
  std::uint64_t count = 0;
  check(::read(eventfd, &count, sizeof count), "read of an eventfd");
  return count;
}

void signal_by(int eventfd) {
  const std::uint64_t one = 1;
  check(::write(eventfd, &one, sizeof one), "write to an eventfd");
}

void send_message(int ring) {
  ::io_uring_sqe entry{};
  ::io_uring_prep_msg_ring(&entry, ring, 0, 1, 0);
  check(::syscall(__NR_io_uring_register, -1, register_send_msg_ring, &entry, 1), "IORING_REGISTER_SEND_MSG_RING");
}

/// Throws before Linux 6.13. A later kernel looks for the ring, and there is none.
void require_messages() {
  ::io_uring_sqe entry{};
  ::io_uring_prep_msg_ring(&entry, -1, 0, 1, 0);
  if (::syscall(__NR_io_uring_register, -1, register_send_msg_ring, &entry, 1) >= 0 || errno != EBADF)
    throw std::runtime_error("the kernel has no IORING_REGISTER_SEND_MSG_RING, which came with Linux 6.13");
}

/// Sleeps in a ring with a loop's flags, and answers each wake.
class sleeper {
 public:
  sleeper(way by, std::uint64_t trips, std::size_t processor)
      : by_(by), thread_([this, trips, processor] { run(trips, processor); }) {
    take_signal(answer_);  // the ring is made
  }
  sleeper(const sleeper&) = delete;
  sleeper& operator=(const sleeper&) = delete;
  ~sleeper() {
    if (thread_.joinable()) thread_.join();
    ::close(wake_);
    ::close(answer_);
  }

  void wake_and_wait() const {
    if (by_ == way::by_message) {
      send_message(ring_.ring_fd);
    } else {
      signal_by(wake_);
    }
    take_signal(answer_);
  }

  /// Waits until it has answered all its wakes. Returns the processor time that it took, nanoseconds.
  std::uint64_t finish() {
    thread_.join();
    return processor_time_;
  }

 private:
  void run(std::uint64_t trips, std::size_t processor) {
    pin_to(processor);
    check(::io_uring_queue_init(64, &ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN), "io_uring");
    signal_by(answer_);
    const std::uint64_t begin = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (std::uint64_t i = 0; i < trips; ++i) {
      if (by_ == way::by_eventfd) {
        ::io_uring_prep_read(::io_uring_get_sqe(&ring_), wake_, &count_, sizeof count_, static_cast<__u64>(-1));
      }
      check(::io_uring_submit_and_wait(&ring_, 1), "io_uring_enter");
      ::io_uring_cqe* woken = nullptr;
      check(::io_uring_peek_cqe(&ring_, &woken), "a completion");
      check(woken->res, "a wake");
      ::io_uring_cqe_seen(&ring_, woken);
      signal_by(answer_);
    }
    processor_time_ = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID) - begin;
    ::io_uring_queue_exit(&ring_);
  }

  way by_;
  int wake_ = ::eventfd(0, EFD_CLOEXEC);
  int answer_ = ::eventfd(0, EFD_CLOEXEC);
  std::uint64_t count_ = 0;
  std::uint64_t processor_time_ = 0;
  ::io_uring ring_{};
  std::thread thread_;  // the last member: it uses the others
};

struct block {
  double wall = 0;       // nanoseconds of a trip
  double processor = 0;  // of both threads
};

block measure(way by, std::uint64_t trips, std::size_t processor) {
  sleeper target(by, trips, processor);
  const std::uint64_t wall = nanoseconds_of(CLOCK_MONOTONIC);
  const std::uint64_t own = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID);
  for (std::uint64_t i = 0; i < trips; ++i) target.wake_and_wait();
  const std::uint64_t wall_end = nanoseconds_of(CLOCK_MONOTONIC);
  const std::uint64_t own_end = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID);
  const std::uint64_t of_target = target.finish();
  const auto count = static_cast<double>(trips);
  return {static_cast<double>(wall_end - wall) / count, static_cast<double>(own_end - own + of_target) / count};
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + std::ssize(values) / 2);
  return values[values.size() / 2];
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0)
    throw std::invalid_argument(fmt::format("not a number above 0: {}", text));
  return value;
}

void compare(std::string_view placement, std::uint64_t rounds, std::uint64_t trips, std::size_t processor) {
  std::array<std::vector<double>, 2> walls;
  std::array<std::vector<double>, 2> processors;
  for (std::uint64_t round = 0; round < 2 * rounds; ++round) {
    for (const bool second : {false, true}) {
      const way by = second != (round % 2 == 1) ? way::by_message : way::by_eventfd;
      const block got = measure(by, trips, processor);
      walls[static_cast<std::size_t>(by)].push_back(got.wall);
      processors[static_cast<std::size_t>(by)].push_back(got.processor);
    }
  }
  const double wall[] = {median(walls[0]), median(walls[1])};
  const double time[] = {median(processors[0]), median(processors[1])};
  fmt::print("{}: eventfd {:.2f} us, {:.2f} us of processors; message {:.2f} us, {:.2f} us; ratios {:.3f}, {:.3f}\n",
             placement, wall[0] / 1e3, time[0] / 1e3, wall[1] / 1e3, time[1] / 1e3, wall[1] / wall[0],
             time[1] / time[0]);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::uint64_t rounds = argc > 1 ? number(argv[1]) : 5;
    const std::uint64_t trips = argc > 2 ? number(argv[2]) : 10'000;
    require_messages();  // a sleeper that gets no wake would wait forever
    const auto processors = allowed_processors();
    pin_to(processors.front());
    if (processors.size() > 1) compare("two processors", rounds, trips, processors.back());
    compare("one processor", rounds, trips, processors.front());
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench-wakes: {}\n", e.what());
    return 1;
  }
}
