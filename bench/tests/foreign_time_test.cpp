// Foreign processor time: that of this process and its children is not counted, that of other processes is, to the
// nanosecond.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "common/clock.hpp"
#include "harness/measure/foreign_time.hpp"

using namespace bench;

namespace {

constexpr std::uint64_t some_time = 20'000'000;  // of a processor

void run_for(std::uint64_t ns) {
  const std::uint64_t begin = read_clock(CLOCK_PROCESS_CPUTIME_ID);
  while (read_clock(CLOCK_PROCESS_CPUTIME_ID) - begin < ns) {
  }
}

/// A process that runs for `some_time` and then waits to be ended: a child (`ours`), or a grandchild, which is foreign.
class runner {
 public:
  explicit runner(bool ours) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      const pid_t worker = ours ? 0 : ::fork();
      if (worker == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_for(some_time);
        (void)!::write(ends[1], "x", 1);
      }
      ::pause();
      ::_exit(0);
    }
    char done = 0;
    REQUIRE(::read(ends[0], &done, 1) == 1);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~runner() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  pid_t id() const noexcept { return child_; }

 private:
  pid_t child_;
};

}  // namespace

TEST_CASE("foreign time: the time of other processes is counted, also of those that began meanwhile") {
  REQUIRE(foreign_time_is_kept());
  const auto before = foreign_threads();
  const runner somebody(false);
  CHECK(time_between(before, foreign_threads()) >= some_time);
}

TEST_CASE("foreign time: this process and its children are not counted") {
  REQUIRE(foreign_time_is_kept());
  const runner child(true);
  run_for(some_time);
  const auto after = foreign_threads();
  CHECK(after.count(::getpid()) == 0);
  CHECK(after.count(child.id()) == 0);
}

TEST_CASE("foreign time: a thread that has ended counts as 0, and no thread's time decreases") {
  CHECK(time_between({{1, 500}, {2, 700}}, {{1, 600}}) == 100);
  CHECK(time_between({{1, 500}}, {{1, 400}, {3, 50}}) == 50);
}
