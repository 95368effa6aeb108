// exit() where a scope is of static storage duration: its destructor runs when the program ends.
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdlib>
#include <stdexcept>

#include "support/process/last_words.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

task<> wait_long() {
  (void)co_await sleep_for(1h);
}

scope& background() {
  static scope tasks;
  return tasks;
}

task<> begin_background() {
  background().spawn(wait_long());
  (void)co_await sleep_for(1us);
}

task<> exit_inside() {
  background().spawn(wait_long());
  (void)co_await sleep_for(1us);
  std::exit(0);
}

/// Calls exit in a child, which must not write what the parent has in its buffers.
[[noreturn]] void leave_quietly() {
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDOUT_FILENO);
  std::exit(0);
}

TEST_CASE("exit inside of a task whose static scope has tasks ends the program, which names the scope and the cure") {
  const std::string words = last_words([] {
    event_loop loop;
    loop.run(exit_inside());
  });
  CHECK_THAT(words, ContainsSubstring("a scope was left without co_await join(); 1 of its tasks still run"));
  CHECK_THAT(words, ContainsSubstring("exit_test.cpp") && ContainsSubstring("spawned here, in"));
  CHECK_THAT(words, ContainsSubstring("exit()") && ContainsSubstring("return from main") &&
                        ContainsSubstring("after event_loop::run"));
}

TEST_CASE("exit after the loop has run drops the tasks of a static scope") {
  CHECK_THROWS_WITH(last_words([] {
                      {
                        event_loop loop;
                        loop.run(begin_background());
                      }
                      leave_quietly();
                    }),
                    "it did not abort");
  CHECK_THROWS_WITH(last_words([] {
                      static event_loop loop;  // goes after the scope, which is made later
                      loop.run(begin_background());
                      leave_quietly();
                    }),
                    "it did not abort");
}

}  // namespace
