// A hand-over in which a process has no memory or no descriptor: it is refused, and the predecessor works on.
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/memory_shortage.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/message_pair.hpp"
#include "uring6/successor.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using Catch::Matchers::ContainsSubstring;

/// A conn with two datagrams that it has read ahead.
task<packet_conn> conn_with_backlog(event_loop& loop) {
  packet_conn pc = open_conn(loop);
  number_sender sender(name_of(pc));
  sender.send(3);
  std::array<std::byte, 64> buffer;
  const auto first = co_await pc.read_from(buffer);
  or_throw(first);
  co_return pc;
}

/// Whether the conn still gives the numbers 1 and 2, and nothing else.
task<bool> has_its_backlog(packet_conn& pc) {
  std::array<std::byte, 64> buffer;
  for (std::uint64_t i = 1; i < 3; ++i) {
    const auto got = co_await pc.read_from(buffer, read_flags::dont_wait);
    if (!got || number_in(got->payload) != i) co_return false;
  }
  const auto more = co_await pc.read_from(buffer, read_flags::dont_wait);
  co_return !more;
}

/// A successor that confirms when all has come, and allocates nothing.
void confirm_without_memory(int channel) {
  static thread_local std::array<std::byte, detail::longest_message> area;
  for (;;) {
    const ssize_t size = ::recv(channel, area.data(), area.size(), 0);
    if (size <= 0) return;
    const auto view = detail::read_message(std::span(area).first(static_cast<std::size_t>(size)));
    if (!view || view->kind == detail::handover_kind::refused) return;
    if (view->kind != detail::handover_kind::end) continue;
    std::array<std::byte, 16> answer{};
    wire::writer to(answer);
    write_short(to, detail::handover_kind::taken);
    (void)send_message(channel, to.written());
    return;
  }
}

TEST_CASE("handover: a predecessor without memory works on with its datagrams") {
  need_ipv6();
  sweep_allocations("handover::send", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = co_await conn_with_backlog(loop);
    message_pair channel;
    or_throw(send_message(channel.next.get(), short_message(detail::handover_kind::ready)));
    std::jthread successor(confirm_without_memory, channel.next.get());
    std::error_code error;
    try {
      memory.begin();
      handover over(channel.old.get());
      const auto added = over.add("dns", pc);
      if (!added) error = added.error();
      if (!error) {
        const auto gone = co_await over.send();
        if (!gone) error = gone.error();
      }
    } catch (const std::bad_alloc&) {
      error = make_error_code(std::errc::not_enough_memory);
    }
    memory.end();
    channel.old = file_descriptor();
    successor.join();
    std::array<std::byte, 64> buffer;
    const bool kept = co_await has_its_backlog(pc);
    const auto end = co_await pc.read_from(buffer, read_flags::dont_wait);
    const bool given = !end && end.error() == errc::closed;
    if (error ? !kept : !given) co_return make_error_code(std::errc::is_a_directory);
    co_return error;
  });
}

TEST_CASE("take_over: a successor without memory refuses, and the predecessor works on with its datagrams") {
  need_ipv6();
  sweep_allocations("take_over", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = co_await conn_with_backlog(loop);
    message_pair channel;
    handover over(channel.old.get());
    or_throw(over.add("dns", pc));
    std::error_code sent;
    beside predecessor(loop, [&]() -> task<> {
      try {
        const auto gone = co_await over.send();
        if (!gone) sent = gone.error();
      } catch (const std::bad_alloc&) {
        sent = make_error_code(std::errc::not_enough_memory);
      }
      channel.old = file_descriptor();
    });
    co_await test::yield();  // until it waits for its successor: without memory its frame could not close the channel
    std::error_code error;
    try {
      memory.begin();
      auto all = co_await take_over(channel.next.release());
      if (!all) error = all.error();
      if (all) {
        const auto next = all->adopt_packet(loop, "dns");
        if (!next) error = next.error();
        const auto confirmed = next ? all->confirm() : result<void>();
        if (!confirmed) error = confirmed.error();
      }
    } catch (const std::bad_alloc&) {
      error = make_error_code(std::errc::not_enough_memory);
    }
    memory.end();
    co_await predecessor.join();
    if (bool(error) != bool(sent)) co_return make_error_code(std::errc::is_a_directory);
    if (error == std::errc::connection_reset || error == std::errc::broken_pipe) error = sent;
    if (error) {
      const bool whole = co_await has_its_backlog(pc);
      if (!whole) co_return make_error_code(std::errc::not_a_directory);
    }
    co_return error;
  });
}

TEST_CASE("take_over: a process without a free descriptor says so, and the predecessor works on") {
  need_ipv6();
  const std::string said = in_child([] {
    event_loop loop;
    std::string text;
    const auto body = [&]() -> task<> {
      auto pc = co_await conn_with_backlog(loop);
      message_pair channel;
      handover over(channel.old.get());
      or_throw(over.add("dns", pc));
      result<void> gone;
      beside predecessor(loop, [&]() -> task<> { gone = co_await over.send(); });
      rlimit usual{};
      ::getrlimit(RLIMIT_NOFILE, &usual);
      // As many as are in use, not 0: poll(2) takes no more descriptors than the limit.
      const file_descriptor lowest(::dup(channel.old.get()));
      const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest.get()), .rlim_max = usual.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &none);
      {
        const auto all = co_await take_over(channel.next.release());
        text = all ? "taken" : fail(all).text();
      }
      ::setrlimit(RLIMIT_NOFILE, &usual);
      co_await predecessor.join();
      text += gone ? "; handed over" : "; " + gone.error().message();
      const bool whole = co_await has_its_backlog(pc);
      if (!whole) text += "; the backlog is not whole";
    };
    loop.run(body());
    return text;
  });
  CHECK_THAT(said, ContainsSubstring("RLIMIT_NOFILE limits the files of a process"));
  CHECK_THAT(said, ContainsSubstring("; Too many open files"));
  CHECK_THAT(said, !ContainsSubstring("not whole"));
}

TEST_CASE("successor: a program that cannot be started is an error that names it, and no descriptor stays open") {
  const std::size_t before = open_descriptors();
  const std::vector<std::string> missing{"/nonexistent/service"};
  const auto none = successor::start(missing);
  REQUIRE_FALSE(none);
  CHECK(none.error() == std::errc::no_such_file_or_directory);
  CHECK_THAT(fail(none).text(),
             ContainsSubstring("successor::start /nonexistent/service") && ContainsSubstring("does not search PATH"));
  const std::vector<std::string> no_program{"/dev/null"};
  CHECK(successor::start(no_program).error() == std::errc::permission_denied);
  CHECK(successor::start({}).error() == std::errc::invalid_argument);
  CHECK(successor::start(no_program, 0).error() == errc::out_of_range);
  CHECK(successor::start(no_program, 1025).error() == errc::out_of_range);
  CHECK(open_descriptors() == before);
  const std::string said = in_child([&] {
    const rlimit few{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_NOFILE, &few);
    return fail(successor::start(no_program)).text();
  });
  CHECK_THAT(said, ContainsSubstring("Too many open files"));
}

TEST_CASE("successor: a program begins with its channels, no signal blocked, and LISTEN_FDS of its own") {
  ::setenv("LISTEN_FDS", "7", 1);
  ::setenv("LISTEN_FDNAMES", "old", 1);
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const std::vector<std::string> words{
      "/bin/sh", "-c",
      "[ $LISTEN_PID = $$ ] && [ $LISTEN_FDS = 2 ] && [ $LISTEN_FDNAMES = handover:handover ] && "
      "grep -q 'SigBlk:.*0000000000000000' /proc/self/status && [ -S /proc/self/fd/3 ] && [ -S /proc/self/fd/4 ] && "
      "! [ -e /proc/$$/fd/5 ] && env | grep -c LISTEN_FDS= | grep -q 1 || exit 1; exec sleep 1000"};
  auto next = or_throw(successor::start(words, 2));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_FDNAMES");
  // Its program is "sleep" once all of that was right.
  const auto name = "/proc/" + std::to_string(next.process()) + "/comm";
  CHECK(eventually([&] {
    std::ifstream file(name);
    std::string word;
    return file >> word && word == "sleep";
  }));
  const std::string process = "/proc/" + std::to_string(next.process());
  next.end();
  CHECK_FALSE(std::filesystem::exists(process));
  next.end();
}

}  // namespace
