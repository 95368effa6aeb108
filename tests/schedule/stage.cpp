#include "schedule/stage.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace uring6::seeds {
namespace {

struct activity {
  const char* who = nullptr;  // nullptr: the place is free
  unsigned number = 0;
  const char* what = nullptr;
};

constexpr unsigned most_activities = 512;  // tasks of one seed, each in a few waits at once
activity activities[most_activities];
std::uint64_t watched_seed = 0;

// The program ends: functions that a signal handler should not call do no harm here.
void end_of_patience(int) {
  std::string text = fmt::format("seed {} does not end. These wait:\n", watched_seed);
  for (const activity& each : activities) {
    if (each.who) text += fmt::format("  {} {}: {}\n", each.who, each.number, each.what);
  }
  text += fmt::format("replay: {}\n", replay(watched_seed));
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  std::_Exit(1);
}

}  // namespace

loop_options stage::options() noexcept {
  loop_options made;
  made.submission_entries = one_of(1, 2, 4, 8, 32);
  made.completion_entries = std::max(made.submission_entries, one_of(2, 4, 8, 16, 64));
  made.receive_buffers = one_of(2, 4, 8, 32);
  made.budget = one_of(1, 2, 4, 512);
  simulated_ = once_in(2);
  if (simulated_) made.clock = loop_clock::simulated;
  return made;
}

std::chrono::nanoseconds stage::a_while() noexcept {
  if (!simulated_) return {};
  return std::chrono::microseconds(one_of(0, 1, 10, 1'000, 60'000'000));
}

waiting_for::waiting_for(const char* who, unsigned number, const char* what) noexcept {
  const auto* const free = std::ranges::find_if(activities, [](const activity& each) { return !each.who; });
  place_ = static_cast<unsigned>(free - activities);
  if (place_ < most_activities) activities[place_] = {who, number, what};
}

waiting_for::~waiting_for() {
  if (place_ < most_activities) activities[place_] = {};
}

watchdog::watchdog(std::uint64_t seed, unsigned seconds) noexcept {
  watched_seed = seed;
  std::signal(SIGALRM, end_of_patience);
  ::alarm(seconds);
}

watchdog::~watchdog() {
  ::alarm(0);
}

std::string replay(std::uint64_t seed) {
  return fmt::format("{} --seed {}", program_invocation_name, seed);
}

std::uint64_t run_seed(std::uint64_t seed) {
  ::setenv("URING6_DRIVER", fmt::format("seed:{}", seed).c_str(), 1);
  stage with(seed);
  switch (seed % 4) {
    case 0:
    case 1:
      run_packets(with, seed);
      break;
    case 2:
      run_streams(with, seed);
      break;
    default:
      run_tasks(with, seed);
  }
  return with.digest();
}

}  // namespace uring6::seeds
