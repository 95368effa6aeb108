#include "runtime/loop/inbox.hpp"

#include <catch2/catch_test_macros.hpp>
#include <thread>
#include <vector>

namespace {

using uring6::detail::inbox;
using uring6::detail::inbox_message;

struct note final : inbox_message {
  note(std::vector<int>& log_, int what_, int& alive_) : log(log_), what(what_), alive(alive_) { ++alive; }
  ~note() override { --alive; }
  void run() noexcept override { log.push_back(what); }

  std::vector<int>& log;
  int what;
  int& alive;
};

TEST_CASE("messages run in the order of arrival, once") {
  std::vector<int> log;
  int alive = 0;
  inbox box;
  CHECK(box.empty());
  CHECK(box.push(std::make_unique<note>(log, 1, alive)));
  CHECK(box.push(std::make_unique<note>(log, 2, alive)));
  CHECK_FALSE(box.empty());
  CHECK(box.run() == 2);
  CHECK(log == std::vector{1, 2});
  CHECK(alive == 0);
  CHECK(box.run() == 0);
  CHECK(box.push(std::make_unique<note>(log, 3, alive)));
  CHECK(box.run() == 1);
  CHECK(log == std::vector{1, 2, 3});
}

TEST_CASE("messages that never ran are destroyed with the inbox") {
  std::vector<int> log;
  int alive = 0;
  {
    inbox box;
    for (int i = 0; i < 10; ++i) box.push(std::make_unique<note>(log, i, alive));
    CHECK(alive == 10);
  }
  CHECK(alive == 0);
  CHECK(log.empty());
}

TEST_CASE("a closed inbox destroys its messages, and later ones") {
  std::vector<int> log;
  int alive = 0;
  inbox box;
  box.push(std::make_unique<note>(log, 1, alive));
  box.close();
  CHECK(alive == 0);
  CHECK_FALSE(box.push(std::make_unique<note>(log, 2, alive)));
  CHECK(alive == 0);
  CHECK(box.run() == 0);
  box.close();
  CHECK(log.empty());
}

TEST_CASE("pushes from several threads arrive whole, each thread's in order", "[threads]") {
  struct numbered_message final : inbox_message {
    numbered_message(std::vector<int>& next_, int thread_, int number_, bool& ok_)
        : next(next_), thread(thread_), number(number_), ok(ok_) {}
    void run() noexcept override { ok &= next[static_cast<std::size_t>(thread)]++ == number; }
    std::vector<int>& next;
    int thread;
    int number;
    bool& ok;
  };
  constexpr int threads = 3;
  constexpr int each = 20'000;
  std::vector<int> next(threads, 0);
  bool in_order = true;
  inbox box;
  std::vector<std::thread> pushers;
  for (int t = 0; t < threads; ++t) {
    pushers.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) box.push(std::make_unique<numbered_message>(next, t, i, in_order));
    });
  }
  for (unsigned total = 0; total < threads * each;) total += box.run();
  for (auto& pusher : pushers) pusher.join();
  CHECK(in_order);
  CHECK(next == std::vector<int>(threads, each));
}

}  // namespace
