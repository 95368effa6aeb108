// Runs public operations against each other under legal schedules of a kernel, one for each seed:
//   schedules [--seeds COUNT] [--from SEED] [--jobs COUNT]   COUNT seeds from SEED on, in so many processes
//   schedules --seed SEED                                    one seed; prints the digest of all that happened
//   schedules --hang SECONDS                                 never ends, so that the watchdog does: for its test
// Exit status: 0 no invariant was broken, 1 one was (with the seed and the command that replays it), 2 a wrong option.
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>
#include <vector>

#include "schedule/stage.hpp"
#include "support/machine/link_control.hpp"

namespace {

using namespace uring6;

constexpr unsigned seconds_of_a_seed = 60;  // on a busy machine, with sanitizers; most take some milliseconds

struct options {
  std::uint64_t from = 0;
  std::uint64_t seeds = 1'000;
  std::uint64_t jobs = 1;
  std::optional<std::uint64_t> one{};
  std::optional<std::uint64_t> hang{};
};

std::optional<options> parse(int count, char** words) {
  options made;
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = words[i];
    const std::string_view value = i + 1 < count ? words[i + 1] : "";
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (value.empty() || error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
    if (name == "--from") {
      made.from = number;
    } else if (name == "--seeds") {
      made.seeds = number;
    } else if (name == "--jobs" && number > 0) {
      made.jobs = number;
    } else if (name == "--seed") {
      made.one = number;
    } else if (name == "--hang") {
      made.hang = number;
    } else {
      return std::nullopt;
    }
  }
  return made;
}

/// URING6_SEED_SECONDS: for a program with planted bugs, of which many seeds hang.
unsigned patience() {
  const char* const set = std::getenv("URING6_SEED_SECONDS");
  return set ? static_cast<unsigned>(std::strtoul(set, nullptr, 10)) : seconds_of_a_seed;
}

/// False: an invariant was broken.
bool run_one(std::uint64_t seed, bool tells) {
  const seeds::watchdog limit(seed, patience());
  try {
    const std::uint64_t digest = seeds::run_seed(seed);
    if (tells) fmt::print("seed {} digest {:016x}\n", seed, digest);
    return true;
  } catch (const std::exception& error) {
    fmt::print(stderr, "seed {}: {}\nreplay: {}\n", seed, error.what(), seeds::replay(seed));
    return false;
  }
}

/// One job's share of the seeds, up to the first one that breaks an invariant.
int run_share(const options& asked, std::uint64_t job) {
  for (std::uint64_t i = job; i < asked.seeds; i += asked.jobs) {
    if (!run_one(asked.from + i, false)) return 1;
  }
  return 0;
}

int run_all(const options& asked) {
  std::vector<pid_t> jobs;
  for (std::uint64_t job = 0; job < asked.jobs; ++job) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(run_share(asked, job));
    if (child > 0) jobs.push_back(child);
  }
  bool all = jobs.size() == asked.jobs;
  for (const pid_t each : jobs) {
    int status = 0;
    all = ::waitpid(each, &status, 0) == each && WIFEXITED(status) && WEXITSTATUS(status) == 0 && all;
    if (WIFSIGNALED(status)) fmt::print(stderr, "a job was ended by signal {}\n", WTERMSIG(status));
  }
  if (all) fmt::print("{} seeds from {} on: no invariant was broken\n", asked.seeds, asked.from);
  return all ? 0 : 1;
}

/// The sockets are alone with each other. Where that is not permitted, they are on the machine's own ::1.
void enter_own_network() {
  const bool alone = ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
  if (alone) test::set_link(test::loopback_index, test::link_state::up);
}

}  // namespace

int main(int count, char** words) {
  const auto asked = parse(count, words);
  if (!asked) {
    fmt::print(stderr, "usage: schedules [--seeds COUNT] [--from SEED] [--jobs COUNT] | --seed SEED\n");
    return 2;
  }
  try {
    enter_own_network();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  if (asked->hang) {
    const seeds::watchdog limit(0, static_cast<unsigned>(*asked->hang));
    const seeds::waiting_for noted("a task", 7, "what never comes");
    for (;;) ::pause();
  }
  if (asked->one) return run_one(*asked->one, true) ? 0 : 1;
  return run_all(*asked);
}
