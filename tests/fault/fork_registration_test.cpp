// pthread_atfork needs memory: the loop that met a refusal says so, and the next one asks again. It is asked once in a
// process, before the first loop, so the case of interest runs in a program of its own.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <system_error>

#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "support/process/program.hpp"
#include "uring/fork_guard.hpp"
#include "uring6/event_loop.hpp"

#ifdef __GLIBC__
namespace {

int refusals = 0;    // of the next registrations
int registered = 0;  // since the program began

}  // namespace

// glibc links a function of this name into each program, which calls this one; here a program's own comes first.
extern "C" int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* library) noexcept;
extern "C" void* __dso_handle;

extern "C" int pthread_atfork(void (*prepare)(), void (*parent)(), void (*child)()) noexcept {
  if (refusals > 0) {
    --refusals;
    return ENOMEM;
  }
  ++registered;
  return __register_atfork(prepare, parent, child, __dso_handle);
}

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a first loop whose handler of forks cannot be registered says so, and the next ones are made",
          "[.][first]") {
  for (int refused = 0; refused < 2; ++refused) {
    refusals = 1;
    const auto first = event_loop::create();
    REQUIRE_FALSE(first);
    CHECK(first.error() == std::errc::not_enough_memory);
    CHECK(refusals == 0);
  }
  for (int made = 0; made < 2; ++made) {
    auto next = event_loop::create();
    REQUIRE(next);
    const std::string said = in_child([&] {
      const auto polled = next->poll();
      return std::string(!polled && polled.error() == errc::forked ? "forked" : "not forked");
    });
    CHECK(said == "forked");
  }
  const int after_two_loops = registered;
  REQUIRE(event_loop::create());
  CHECK(registered == after_two_loops);
}

TEST_CASE("a loop that cannot register its handler of forks for want of memory says so, and only that one") {
  need_ipv6();
  const program_end end = run_program({"/proc/self/exe", "[first]"});
  CAPTURE(end.output, end.errors);
  CHECK(end.exit_status == 0);
}

}  // namespace
#endif
