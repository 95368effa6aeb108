// event_loop::tasks: each live task, where it was spawned, what it waits for, and its parent.
#include "uring6/tasks.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "uring6/channel.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/foreign.hpp"
#include "uring6/format.hpp"
#include "uring6/interval.hpp"
#include "uring6/mutex.hpp"
#include "uring6/run_blocking.hpp"
#include "uring6/scope.hpp"
#include "uring6/select.hpp"
#include "uring6/semaphore.hpp"
#include "uring6/shield.hpp"
#include "uring6/stop.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_stop.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

using list_of_tasks = std::vector<task_info>;

const task_info* find(const list_of_tasks& in, std::string_view operation) {
  const auto at = std::find_if(in.begin(), in.end(), [=](const task_info& one) { return one.operation == operation; });
  return at == in.end() ? nullptr : &*at;
}

std::size_t count(const list_of_tasks& in, std::string_view operation) {
  return static_cast<std::size_t>(
      std::count_if(in.begin(), in.end(), [=](const task_info& one) { return one.operation == operation; }));
}

task<> sleep_long() {
  (void)co_await sleep_for(1h);
}

task<> through(std::size_t depth) {
  if (depth == 0) {
    co_await sleep_long();
  } else {
    co_await through(depth - 1);
  }
}

bool is_running(const task_info& one) {
  return one.state == task_state::running;
}

/// Stops the scope's tasks after a look at them in a later turn, when all have begun.
template <class Look>
task<> look_then_stop(event_loop& loop, scope& at, Look look) {
  for (int turn = 0; turn < 3; ++turn) co_await this_task::yield();
  look(loop.tasks());
  at.request_stop();
  co_await at.join();
}

enum class arm { one, other };

}  // namespace

TEST_CASE("tasks: each task tells where it was spawned, what it waits for, and its parent") {
  event_loop loop;
  unsigned line = 0;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_long());
    line = __LINE__ - 1;
    co_await look_then_stop(loop, children, [&](const list_of_tasks& tasks) {
      REQUIRE(tasks.size() == 2);
      const task_info& main = tasks[0];
      CHECK(main.origin == "run");
      CHECK(main.parent == 0);
      CHECK(main.state == task_state::running);
      CHECK(main.operation.empty());
      const task_info& child = tasks[1];
      CHECK(child.origin == "scope");
      CHECK(child.spawned.line() == line);
      CHECK(std::string_view(child.spawned.file_name()).ends_with("tasks_test.cpp"));
      CHECK(child.parent == main.id);  // the scope is not joined: it lies in the main task's frame
      CHECK(child.state == task_state::waiting);
      CHECK(child.operation == "sleep");
      CHECK(child.depth == 1);
      CHECK(child.until > loop.now() + 59min);
      CHECK(child.code != nullptr);
      CHECK(child.descriptor == -1);
    });
  };
  loop.run(body());
  CHECK(loop.tasks().empty());
  auto alone = [&]() -> task<> {
    CHECK(loop.tasks().at(0).spawned.line() == line);
    co_return;
  };
  line = __LINE__ + 1;
  loop.run(alone());
}

TEST_CASE("tasks: a task that has not begun is ready, and so is one whose operation is over") {
  event_loop loop;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_long());
    auto before = loop.tasks();
    CHECK(before.at(1).state == task_state::ready);
    CHECK(before.at(1).operation.empty());
    event gate;
    auto pass = [](event& at) -> task<> { (void)co_await at.wait(); };
    children.spawn(pass(gate));
    for (int turn = 0; turn < 3; ++turn) co_await this_task::yield();
    CHECK(find(loop.tasks(), "event::wait")->state == task_state::waiting);
    gate.set();
    CHECK(find(loop.tasks(), "event::wait")->state == task_state::ready);
    children.request_stop();
    co_await children.join();
  };
  loop.run(body());
}

TEST_CASE("tasks: a task that runs again does not wait for what it waited for before") {
  event_loop loop;
  auto inner = [&]() -> task<> {
    (void)co_await sleep_for(1ms);
    const auto tasks = loop.tasks();
    CHECK(std::count_if(tasks.begin(), tasks.end(), is_running) == 1);
  };
  auto body = [&]() -> task<> {
    (void)co_await sleep_for(1ms);
    CHECK(loop.tasks().at(0).operation.empty());
    co_await inner();  // its end resumes this task past the loop
    CHECK(loop.tasks().at(0).state == task_state::running);
    CHECK(loop.tasks().at(0).operation.empty());
    auto one = inner();
    co_await when_all(std::move(one), sleep_for(2ms));  // so does the end of the last child
    CHECK(loop.tasks().size() == 1);
    CHECK(loop.tasks().at(0).state == task_state::running);
    CHECK(loop.tasks().at(0).operation.empty());
  };
  loop.run(body());
}

TEST_CASE("tasks: the chain of awaited tasks counts as one task") {
  event_loop loop;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(through(6));
    co_await look_then_stop(loop, children, [&](const list_of_tasks& tasks) {
      REQUIRE(tasks.size() == 2);
      CHECK(tasks[1].depth == 8);
      CHECK(tasks[1].operation == "sleep");
    });
  };
  loop.run(body());
}

TEST_CASE("tasks: children of combinators are below the task that awaits them") {
  event_loop loop;
  auto race = []() -> task<> { (void)co_await when_any(sleep_for(1h), sleep_for(2h)); };
  auto all = [&]() -> task<> { (void)co_await when_all(race(), sleep_for(1h)); };
  auto many = []() -> task<> {
    std::vector<task<>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(sleep_long());
    (void)co_await when_any(std::move(tasks));
  };
  auto chosen = []() -> task<> { (void)co_await select(on<arm::one>(sleep_for(1h)), on<arm::other>(sleep_for(2h))); };
  auto limited = []() -> task<> { (void)co_await with_timeout(2h, sleep_for(1h)); };
  auto followed = []() -> task<> { (void)co_await with_stop(stop_token(), sleep_for(1h)); };
  event end_of_shield;
  auto shielded = [&]() -> task<> { (void)co_await shield(1h, end_of_shield.wait()); };
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(all());
    children.spawn(many());
    children.spawn(chosen());
    children.spawn(limited());
    children.spawn(followed());
    children.spawn(shielded());
    co_await look_then_stop(loop, children, [&](const list_of_tasks& tasks) {
      CHECK(tasks.size() == 1 + 6 + 2 + 2 + 3 + 2 + 1 + 1 + 1);
      end_of_shield.set();
      CHECK(count(tasks, "sleep") == 2 + 1 + 3 + 2 + 1 + 1);
      for (const std::string_view operation : {"when_all", "select", "with_timeout", "with_stop", "shield"}) {
        CAPTURE(operation);
        const task_info* const parent = find(tasks, operation);
        REQUIRE(parent);
        CHECK(std::any_of(tasks.begin(), tasks.end(), [&](const task_info& one) {
          return one.parent == parent->id && one.origin == operation && one.spawned.line() == 0;
        }));
      }
      CHECK(count(tasks, "when_any") == 2);
    });
  };
  loop.run(body());
  CHECK(loop.tasks().empty());
}

TEST_CASE("tasks: each operation has a name") {
  event_loop loop;
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  semaphore permits(0);
  event gate;
  async_mutex mutex;
  channel<int> empty(1);
  channel<int> full(1);
  interval every(1h);
  auto body = [&]() -> task<> {
    auto held = co_await mutex.lock();
    REQUIRE(full.try_send(1));
    scope children;
    std::array<std::byte, 8> octets{};
    auto acquire = [&]() -> task<> { (void)co_await permits.acquire(); };
    auto pass = [&]() -> task<> { (void)co_await gate.wait(); };
    auto lock = [&]() -> task<> { (void)co_await mutex.lock(); };
    auto take = [&]() -> task<> { (void)co_await empty.receive(); };
    auto put = [&]() -> task<> { (void)co_await full.send(2); };
    auto tick = [&]() -> task<> { (void)co_await every.tick(); };
    auto poll = [&]() -> task<> { (void)co_await fd::poll(ends[0], poll_events::readable); };
    auto read = [&]() -> task<> { (void)co_await fd::read(ends[0], octets); };
    children.spawn(acquire());
    children.spawn(pass());
    children.spawn(lock());
    children.spawn(take());
    children.spawn(put());
    children.spawn(tick());
    children.spawn(poll());
    children.spawn(read());
    co_await look_then_stop(loop, children, [&](const list_of_tasks& tasks) {
      for (const std::string_view operation :
           {"semaphore::acquire", "event::wait", "async_mutex::lock", "channel::receive", "channel::send",
            "interval::tick", "fd::poll", "fd::read or fd::write"}) {
        CAPTURE(operation);
        CHECK(count(tasks, operation) == 1);
      }
      CHECK(find(tasks, "fd::poll")->descriptor == ends[0]);
    });
  };
  loop.run(body());
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("tasks: an awaitable of another library has the name of its type") {
  struct other_timer {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting, const environment&) noexcept { to_resume = waiting; }
    void await_resume() const noexcept {}
    std::coroutine_handle<>& to_resume;
  };
  event_loop loop;
  std::coroutine_handle<> waiting;
  auto body = [&]() -> task<> {
    scope children;
    auto wait = [&]() -> task<> { co_await other_timer{waiting}; };
    children.spawn(wait());
    for (int turn = 0; turn < 2; ++turn) co_await this_task::yield();
    const auto tasks = loop.tasks();
    REQUIRE(tasks.size() == 2);
    CHECK(tasks[1].operation.find("other_timer") != std::string_view::npos);
    CHECK(tasks[1].state == task_state::waiting);
    waiting.resume();
    co_await children.join();
  };
  loop.run(body());
}

TEST_CASE("tasks: a stop that was requested shows at the tasks that have not ended") {
  event_loop loop;
  auto stubborn = []() -> task<> {
    const auto token = co_await this_task::stop_token();
    while (!token.stop_requested()) (void)co_await sleep_for(1h);
    for (int turn = 0; turn < 3; ++turn) co_await this_task::yield();
  };
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(stubborn());
    for (int turn = 0; turn < 2; ++turn) co_await this_task::yield();
    CHECK(!loop.tasks().at(1).stop_requested);
    children.request_stop();
    for (int turn = 0; turn < 2; ++turn) co_await this_task::yield();
    const auto tasks = loop.tasks();
    REQUIRE(tasks.size() == 2);
    CHECK(tasks[1].stop_requested);
    CHECK(tasks[1].operation == "this_task::yield");
    CHECK(!tasks[0].stop_requested);
    co_await children.join();
  };
  loop.run(body());
}

TEST_CASE("tasks: a scope that is no part of a task has tasks without a parent, and one on the heap gets its joiner") {
  event_loop loop;
  {
    scope outside(loop);
    outside.spawn(sleep_long());
    or_throw(loop.poll());
    const auto tasks = loop.tasks();
    REQUIRE(tasks.size() == 1);
    CHECK(tasks[0].parent == 0);
    CHECK(tasks[0].operation == "sleep");
  }
  CHECK(loop.tasks().empty());
  auto holder = []() -> task<> {
    auto own = std::make_unique<scope>(co_await this_task::stop_token());
    own->spawn(sleep_long());
    co_await own->join();
  };
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(holder());
    co_await look_then_stop(loop, children, [&](const list_of_tasks& tasks) {
      REQUIRE(tasks.size() == 3);
      CHECK(find(tasks, "sleep")->parent == find(tasks, "scope::join")->id);
    });
  };
  loop.run(body());
}

TEST_CASE("tasks: the list is whole in each turn while tasks begin and end") {
  event_loop loop;
  constexpr int generations = 50;
  constexpr int each = 20;
  auto brief = [](int turns) -> task<> {
    for (int i = 0; i < turns; ++i) co_await this_task::yield();
    co_await through(static_cast<std::size_t>(turns % 3) == 0 ? 1 : 0);
  };
  auto body = [&]() -> task<> {
    scope children;
    for (int generation = 0; generation < generations; ++generation) {
      for (int i = 0; i < each; ++i) children.spawn(brief(i % 7));
      co_await this_task::yield();
      const auto tasks = loop.tasks();
      CHECK(tasks.size() == children.running() + 1);
      for (std::size_t i = 1; i < tasks.size(); ++i) CHECK(tasks[i].parent == tasks[0].id);
      if (generation % 5 == 4) {
        children.request_stop();
        co_await children.join();
        break;
      }
    }
    co_await children.join();
  };
  loop.run(body());
}

TEST_CASE("tasks: another thread sees none while the loop's thread lives", "[threads]") {
  event_loop loop;
  auto body = [&]() -> task<> {
    CHECK(loop.tasks().size() == 1);
    std::size_t elsewhere = 1;
    std::thread([&] { elsewhere = loop.tasks().size(); }).join();
    CHECK(elsewhere == 0);
    co_return;
  };
  loop.run(body());
  event_loop moved_to = std::move(loop);
  CHECK(loop.tasks().empty());  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("tasks: the tree has a line for each task, children below their parent") {
  event_loop loop;
  auto race = []() -> task<> { (void)co_await when_any(sleep_for(1h), sleep_for(2h)); };
  std::string text;
  auto body = [&]() -> task<> {
    scope children;
    const unsigned line = __LINE__ + 1;
    children.spawn(race());
    children.spawn(sleep_long());
    co_await look_then_stop(loop, children, [&](const list_of_tasks& tasks) {
      text = to_string(tasks);
      const std::string expected = fmt::format(
          "  scope tasks_test.cpp:{}: waits for when_any\n"
          "    when_any: waits for sleep\n"
          "    when_any: waits for sleep\n"
          "  scope tasks_test.cpp:{}: waits for sleep\n",
          line, line + 1);
      CHECK(text.starts_with("run tasks_test.cpp:"));
      CHECK(text.substr(text.find('\n') + 1) == expected);
      CHECK(fmt::format("{}", tasks[2]) == "when_any: waits for sleep");
      CHECK(fmt::format("{}", tasks[2].state) == "waiting");
    });
  };
  loop.run(body());
  CHECK(to_string(std::span<const task_info>()) == "no tasks\n");
}

TEST_CASE("tasks: JSON has an object for each task") {
  event_loop loop;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_long());
    co_await look_then_stop(loop, children, [&](const list_of_tasks& tasks) {
      const auto array = nlohmann::json::parse(to_json(tasks));
      REQUIRE(array.size() == 2);
      CHECK(array[0]["origin"] == "run");
      CHECK(!array[0].contains("parent"));
      CHECK(array[1]["parent"] == array[0]["id"]);
      CHECK(array[1]["operation"] == "sleep");
      CHECK(array[1]["state"] == "waiting");
      CHECK(array[1]["line"] == tasks[1].spawned.line());
      CHECK(array[1]["until_ns"].get<std::int64_t>() > 0);
      CHECK(array[1]["stop_requested"] == false);
    });
  };
  loop.run(body());
  CHECK(to_json(std::span<const task_info>()) == "[]");
  CHECK(nlohmann::json::parse(to_json(std::vector<task_info>{{.origin = "a\"\\\n"}}))[0]["origin"] == "a\"\\\n");
}

TEST_CASE("tasks: a tree of ten thousand tasks is complete") {
  event_loop loop;
  constexpr std::size_t many = 10'000;
  auto body = [&]() -> task<> {
    scope children;
    for (std::size_t i = 0; i < many; ++i) children.spawn(through(i % 4));
    for (int turn = 0; turn < 100; ++turn) co_await this_task::yield();
    const auto tasks = loop.tasks();
    CHECK(tasks.size() == many + 1);
    CHECK(count(tasks, "sleep") == many);
    const std::string text = to_string(tasks);
    CHECK(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) == many + 1);
    children.request_stop();
    co_await children.join();
  };
  loop.run(body());
}

TEST_CASE("dump_on: writes the tree at each signal, until it is stopped") {
  event_loop loop;
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  result<void> end;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(dump_on(SIGUSR1, ends[1]), [&](result<void> how) { end = how; });
    children.spawn(sleep_long());
    for (int turn = 0; turn < 3; ++turn) co_await this_task::yield();
    for (int times = 0; times < 2; ++times) {
      ::kill(::getpid(), SIGUSR1);
      std::array<char, 4096> text{};
      const auto readable = co_await fd::poll(ends[0], poll_events::readable);
      or_throw(readable);
      const ssize_t length = ::read(ends[0], text.data(), text.size());
      REQUIRE(length > 0);
      const std::string_view tree(text.data(), static_cast<std::size_t>(length));
      CHECK(tree.starts_with("run tasks_test.cpp:"));
      CHECK(tree.find("waits for fd::poll") != tree.npos);
      CHECK(tree.find("waits for sleep\n") != tree.npos);
      CHECK(tree.ends_with('\n'));
    }
    children.request_stop();
    co_await children.join();
  };
  loop.run(body());
  CHECK(!end);
  CHECK(end.error() == errc::canceled);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("dump_on: a signal that cannot be awaited is an error") {
  event_loop loop;
  auto body = []() -> task<result<void>> { co_return co_await dump_on(SIGKILL); };
  CHECK(loop.run(body()).error() == errc::out_of_range);
}

}  // namespace uring6
