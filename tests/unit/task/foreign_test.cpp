// Awaitables of another library: a coroutine type of its own, and awaiters that resume on threads of their own.
#include "uring6/foreign.hpp"

#include <atomic>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <coroutine>
#include <exception>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/lazy_coroutine.hpp"
#include "uring6/environment.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

/// A small coroutine library as others write them: lazy tasks, and a way onto another thread.
namespace other {

template <class T>
using lazy = uring6::test::lazy_coroutine<T, uring6::test::awaits_anything>;

/// Threads that are joined at the end of a test.
class workers {
 public:
  /// The coroutine goes on on a thread of its own.
  auto hop() {
    struct awaiter {
      workers& of;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiting) const {
        of.threads_.emplace_back([waiting] { waiting.resume(); });
      }
      void await_resume() const noexcept {}
    };
    return awaiter{*this};
  }
  ~workers() {
    for (std::thread& each : threads_) each.join();
  }

 private:
  std::vector<std::thread> threads_;
};

lazy<std::string> greet_elsewhere(workers& on, std::thread::id& where) {
  co_await on.hop();
  where = std::this_thread::get_id();
  co_return "hello";
}

lazy<int> fail_elsewhere(workers& on) {
  co_await on.hop();
  throw std::runtime_error("elsewhere");
}

}  // namespace other

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("a task gets the value of another library's coroutine, and stays on its loop's thread", "[threads]") {
  other::workers threads;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto home = std::this_thread::get_id();
    std::thread::id there;
    const std::string said = co_await foreign(other::greet_elsewhere(threads, there));
    CHECK(said == "hello");
    CHECK(there != home);
    CHECK(std::this_thread::get_id() == home);
    const auto slept = co_await sleep_for(1ms);  // it still has its loop
    CHECK(slept);
  });
}

TEST_CASE("an exception of another library's coroutine arrives in the task that awaits it", "[threads]") {
  other::workers threads;
  event_loop loop;
  run(loop, [&]() -> task<> {
    std::string said;
    try {
      const int got = co_await foreign(other::fail_elsewhere(threads));
      (void)got;
    } catch (const std::runtime_error& thrown) {
      said = thrown.what();
    }
    CHECK(said == "elsewhere");
  });
}

TEST_CASE("an awaitable that is ready at once, one without a value and one that gives a reference are awaited") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    struct reference {
      int& to;
      bool await_ready() const noexcept { return true; }
      void await_suspend(std::coroutine_handle<>) const noexcept {}
      int& await_resume() const noexcept { return to; }
    };
    int number = 1;
    int& got = co_await foreign(reference{number});
    CHECK(&got == &number);
    co_await foreign(std::suspend_never());
    const auto owned = co_await foreign([] {
      struct makes {
        bool await_ready() const noexcept { return true; }
        void await_suspend(std::coroutine_handle<>) const noexcept {}
        std::unique_ptr<int> await_resume() const { return std::make_unique<int>(7); }
      };
      return makes();
    });
    CHECK(*owned == 7);
  });
}

/// Waits on a thread of its own for a stop, and returns whether one came.
template <class Token>
auto until_stopped(other::workers& on, Token stop) {
  return [](other::workers& threads, Token token) -> other::lazy<bool> {
    co_await threads.hop();
    std::atomic<bool> told{false};
    const auto tell_other_thread = [&] {
      told = true;
      told.notify_all();
    };
    using tell = decltype(tell_other_thread);
    const std::conditional_t<std::is_same_v<Token, stop_token>, stop_callback<tell>, std::stop_callback<tell>> callback(
        token, tell_other_thread);
    told.wait(false);
    co_return token.stop_requested();
  }(on, std::move(stop));
}

TEMPLATE_TEST_CASE("a stop reaches an awaitable of another library by the task's token", "[threads]", stop_token,
                   std::stop_token) {
  other::workers threads;
  event_loop loop;
  run(loop, [&]() -> task<> {
    bool stopped = false;
    const auto outer = [&]() -> task<result<void>> {
      stopped = co_await foreign([&](TestType stop) { return until_stopped(threads, std::move(stop)); });
      co_return fail(errc::canceled);
    };
    const auto ended = co_await with_timeout(10ms, outer());
    CHECK_FALSE(ended);
    CHECK(stopped);
  });
}

TEST_CASE("many tasks await other threads at once, and each goes on on the loop's", "[threads]") {
  constexpr int many = 64;
  other::workers threads;
  event_loop loop;
  int done = 0;  // no atomic: the loop's thread alone counts
  run(loop, [&]() -> task<> {
    scope tasks(loop);
    for (int i = 0; i < many; ++i) {
      tasks.spawn([](other::workers& on, int& count) -> task<> {
        std::thread::id there;
        const std::string said = co_await foreign(other::greet_elsewhere(on, there));
        CHECK(said == "hello");
        ++count;
      }(threads, done));
    }
    co_await tasks.join();
  });
  CHECK(done == many);
}

TEST_CASE("a task that is destroyed while it waits blocks until the awaitable has ended", "[threads]") {
  std::atomic<bool> go_on{false};
  std::atomic<bool> ended{false};
  std::thread releaser;
  other::workers threads;
  {
    event_loop loop;
    auto waits = [&]() -> task<> {
      const auto work = [&]() -> other::lazy<int> {
        co_await threads.hop();
        go_on.wait(false);
        ended = true;
        co_return 1;
      };
      const int got = co_await foreign(work());
      (void)got;
    };
    loop.run([&]() -> task<> {
      auto* left = new beside(loop, waits());
      co_await yield();
      releaser = std::thread([&] {
        go_on = true;
        go_on.notify_all();
      });
      delete left;
    }());
  }
  CHECK(ended);
  releaser.join();
}

TEST_CASE("a loop that ends while a task waits for another thread blocks until the awaitable has ended", "[threads]") {
  std::atomic<bool> go_on{false};
  std::atomic<bool> ended{false};
  std::thread releaser;
  other::workers threads;
  auto loop = std::make_unique<event_loop>();
  const auto core = loop->core();  // the task's frame outlives the loop
  const auto work = [&]() -> other::lazy<int> {
    co_await threads.hop();
    go_on.wait(false);
    ended = true;
    co_return 1;
  };
  const auto waits = [&]() -> task<> {
    const int got = co_await foreign(work());
    (void)got;
  };
  const auto left = std::make_unique<beside>(*loop, waits());
  run(*loop, [&]() -> task<> { co_await yield(); });
  releaser = std::thread([&] {
    go_on = true;
    go_on.notify_all();
  });
  loop.reset();
  CHECK(ended);
  releaser.join();
}

TEST_CASE("foreign is awaited once, and refuses to wait outside of a loop") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto twice = foreign(std::suspend_never());
    co_await twice;
    const bool refused = co_await refuses_a_second_await(twice);
    CHECK(refused);
  });
  const auto alone = []() -> other::lazy<std::error_code> {
    try {
      co_await with_environment(foreign(std::suspend_never()), environment());
    } catch (const std::system_error& thrown) {
      co_return thrown.code();
    }
    co_return std::error_code();
  };
  other::lazy<std::error_code> work = alone();
  work.start();
  REQUIRE(work.done());
  CHECK(work.value() == errc::wrong_thread);
}

}  // namespace
