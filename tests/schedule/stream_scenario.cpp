// Connections of TCP that are accepted and dialed, while their operations are raced, stopped, dropped and timed out:
// the octets come in order, none twice, none lost.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "schedule/stage.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/scope.hpp"
#include "uring6/tcp.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"

namespace uring6::seeds {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_octets = 20'000;  // of one direction

/// One direction of a connection. Each octet tells its place.
struct flow {
  unsigned number = 0;
  std::size_t written = 0;  // octets that the kernel took
  std::size_t read = 0;
  bool ended = false;  // the writer has shut it down
};

std::byte octet(const flow& of, std::size_t at) noexcept {
  return static_cast<std::byte>(of.number * 13 + at + at / 251);
}

struct line {
  tcp_conn conn{};
  flow out{};
  flow* in = nullptr;
};

struct play {
  stage& with;
  event_loop& loop;
  tcp_listener listener{};
  endpoint name{};
  std::deque<line> dialed{};
  std::deque<line> accepted{};
  endpoint deaf{};              // an address that answers no SYN; none without a simulated clock
  std::size_t doubtful = 0;     // connections that may have been made and given up: of dials that are stopped, or lose
  std::size_t ended_early = 0;  // connections that ended before their first octet
  unsigned famines = 0;         // of descriptors
};

void require_expected(std::error_code error) {
  const bool expected = error == errc::canceled || error == errc::deadline_exceeded || error == errc::closed ||
                        error == std::errc::resource_unavailable_try_again;
  if (!expected) throw broken("an operation ended with " + error.message());
}

void take(play& in, flow& from, std::span<const std::byte> octets) {
  in.with.note(octets.size());
  for (std::size_t i = 0; i < octets.size(); ++i)
    require(octets[i] == octet(from, from.read + i), "octets of a stream are wrong: flow, place", from.number,
            from.read + i);
  from.read += octets.size();
}

/// True at the end of the stream.
task<bool> read_once(play& in, line& at, bool patient) {
  std::array<std::byte, 3000> memory;
  const std::span<std::byte> some(memory.data(), 1 + in.with.below(memory.size()));
  const waiting_for noted("reader of flow", at.in->number, "read");
  const auto got = co_await at.conn.read(some, patient ? read_flags::none : read_flags::dont_wait);
  if (!got) {
    in.with.note(got.error());
    require_expected(got.error());
    co_return false;
  }
  take(in, *at.in, std::span(memory).first(*got));
  co_return *got == 0;
}

task<> read_once_of(play& in, line& at, bool& at_end) {
  at_end = co_await read_once(in, at, true);
}

/// A read that loses gives its octets to the next one.
task<bool> race(play& in, line& at) {
  std::array<std::byte, 3000> memory;
  const waiting_for noted("reader of flow", at.in->number, "when_any(read, sleep_for)");
  const auto first = co_await when_any(at.conn.read(memory), sleep_for(in.with.a_while()));
  in.with.note(first.index);
  if (first.index != 0) co_return false;
  const auto& got = std::get<0>(first.value);
  if (!got) {
    require_expected(got.error());
    co_return false;
  }
  take(in, *at.in, std::span(memory).first(*got));
  co_return *got == 0;
}

task<bool> read_and_leave(play& in, line& at, bool drop) {
  bool at_end = false;
  const waiting_for noted("reader of flow", at.in->number, drop ? "a read that is dropped" : "a read that is stopped");
  if (drop) {
    const test::beside other(in.loop, read_once_of(in, at, at_end));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
  } else {
    scope other;
    other.spawn(read_once_of(in, at, at_end));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
    other.request_stop();
    co_await other.join();
  }
  co_return at_end;
}

void release_and_adopt(play& in, line& at) {
  auto taken = at.conn.release();
  require(static_cast<bool>(taken), "release failed");
  in.with.note(taken->unread.size());
  auto adopted = adopt_tcp(in.loop, *taken);
  if (!adopted) throw broken("adopt_tcp: " + adopted.error().message());
  at.conn = std::move(*adopted);
}

task<> reader(play& in, line& at) {
  for (bool at_end = false; !at_end;) {
    switch (in.with.below(8)) {
      case 0:
        at_end = co_await race(in, at);
        break;
      case 1:
        at_end = co_await read_and_leave(in, at, in.with.once_in(2));
        break;
      case 2:
        at_end = co_await read_once(in, at, false);
        break;
      case 3: {
        const auto past = in.loop.now() - 1s;
        (void)at.conn.set_read_deadline(past);
        at_end = co_await read_once(in, at, true);
        (void)at.conn.set_read_deadline(std::nullopt);
        break;
      }
      default:
        at_end = co_await read_once(in, at, true);
    }
    if (in.with.once_in(3)) co_await this_task::yield();
  }
  require(at.in->ended, "a stream ended before its writer ended it:", at.in->number);
  require(at.in->read == at.in->written, "a stream lost octets: flow, written, read", at.in->number, at.in->written,
          at.in->read);
}

/// Writes some octets. Those of a call that ends with an error are counted by `stats`, which tells what the kernel
/// took.
task<> write_once(play& in, line& at, std::size_t length) {
  std::vector<std::byte> octets(length);
  for (std::size_t i = 0; i < length; ++i) octets[i] = octet(at.out, at.out.written + i);
  const bool whole = in.with.once_in(2);
  const waiting_for noted("writer of flow", at.out.number, whole ? "write" : "write_some");
  result<std::size_t> sent = fail(errc::closed);
  const std::uint64_t before = at.conn.stats().sent_bytes;
  if (whole) {
    sent = co_await at.conn.write(octets);
  } else {
    sent = co_await at.conn.write_some(octets);
  }
  const std::uint64_t took = at.conn.stats().sent_bytes - before;
  at.out.written += took;
  in.with.note(took);
  if (!sent) {
    in.with.note(sent.error());
    co_return require_expected(sent.error());
  }
  require(*sent == took, "a write told another length: told, counted", *sent, took);
  require(!whole || *sent == length, "a write without an error left octets: told, length", *sent, length);
}

task<> write_and_leave(play& in, line& at, std::size_t length) {
  const waiting_for noted("writer of flow", at.out.number, "a write that is stopped");
  scope other;
  other.spawn(write_once(in, at, length));
  for (unsigned turns = in.with.below(4); turns > 0; --turns) co_await this_task::yield();
  other.request_stop();
  co_await other.join();
}

task<> writer(play& in, line& at, bool& moves) {
  for (unsigned left = 1 + in.with.below(6); left > 0; --left) {
    const std::size_t length = 1 + in.with.below(most_octets / 6);
    if (in.with.once_in(4)) {
      co_await write_and_leave(in, at, length);
    } else {
      co_await write_once(in, at, length);
    }
    for (unsigned turns = in.with.below(3); turns > 0; --turns) co_await this_task::yield();
    if (moves && in.with.once_in(4)) release_and_adopt(in, at);
  }
  const auto done = at.conn.shutdown(stream_half::write);
  if (!done) throw broken("shutdown: " + done.error().message());
  at.out.ended = true;
}

task<> serve(play& in, line& at) {
  scope both;
  bool moves = in.with.once_in(3);
  both.spawn(reader(in, at));
  both.spawn(writer(in, at, moves));
  co_await both.join();
}

/// No descriptor can be opened while an object of this class lives.
class famine {
 public:
  explicit famine(int any_open) noexcept {
    const file_descriptor next(::dup(any_open));  // the lowest number that is free
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit now{static_cast<rlim_t>(std::max(next.get(), 0)), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  famine(const famine&) = delete;
  famine& operator=(const famine&) = delete;
  ~famine() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// Accepts and dials fail for a while. By a steady clock the pause of the listener would take part in what happens.
task<> starve(play& in) {
  if (!in.with.simulated()) co_return;
  for (unsigned left = in.with.below(3); left > 0; --left) {
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
    ++in.famines;
    const famine now(in.listener.native_handle());
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
  }
}

bool is_of_famine(play& in, std::error_code error) {
  in.with.note(error);
  return error == std::errc::too_many_files_open && in.famines > 0;
}

task<> accept_once(play& in, tcp_conn& got) {
  const waiting_for noted("an acceptor", 0, "accept");
  auto came = co_await in.listener.accept();
  if (came) {
    got = std::move(*came);
  } else {
    require(came.error() == errc::canceled || is_of_famine(in, came.error()), "an accept ended with",
            came.error().value());
  }
}

/// Several acceptors, of which one is stopped or dropped wherever it is: a connection that it does not take is the next
/// one's.
task<> accept_and_leave(play& in, tcp_conn& got, bool drop) {
  const waiting_for noted("the listener", 0, drop ? "an accept that is dropped" : "an accept that is stopped");
  scope other;
  if (drop) {
    const test::beside dropped(in.loop, accept_once(in, got));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
  } else {
    other.spawn(accept_once(in, got));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
    other.request_stop();
  }
  co_await other.join();
}

/// Two acceptors at once: each gets a connection, or the error of a famine.
task<> accept_two(play& in, tcp_conn& first, tcp_conn& second) {
  scope both;
  both.spawn(accept_once(in, first));
  both.spawn(accept_once(in, second));
  co_await both.join();
}

task<> race_accept(play& in, tcp_conn& got) {
  auto first = co_await when_any(in.listener.accept(), sleep_for(in.with.a_while()));
  if (first.index != 0) co_return;
  auto& won = std::get<0>(first.value);
  if (won) {
    got = std::move(*won);
  } else {
    require(is_of_famine(in, won.error()), "an accept ended with", won.error().value());
  }
}

/// The first octet of a connection says which one it is. False: the connection was given up before.
task<bool> serve_accepted(play& in, tcp_conn& got, scope& serving) {
  std::byte number{};
  const waiting_for noted("the listener", 0, "a connection's first octet");
  const auto told = co_await got.read({&number, 1});
  if (!told || *told == 0) {
    require(told || told.error() == std::errc::connection_reset, "the first octet failed");
    ++in.ended_early;
    require(in.ended_early <= in.doubtful,
            "connections ended before their first octet, but so many were given up:", in.ended_early, in.doubtful);
    co_return false;
  }
  const auto index = static_cast<std::size_t>(number);
  require(index < in.accepted.size(), "a connection tells a wrong number:", index);
  line& mine = in.accepted[index];
  require(!mine.conn.is_open(), "a connection was accepted twice:", index);
  mine.conn = std::move(got);
  serving.spawn(serve(in, mine));
  co_return true;
}

task<> accept_all(play& in, std::size_t count) {
  scope serving;
  for (std::size_t accepted = 0; accepted < count;) {
    const waiting_for noted("the listener", 0, "accept");
    std::array<tcp_conn, 2> got;
    switch (in.with.below(4)) {
      case 0:
        co_await accept_and_leave(in, got[0], in.with.once_in(2));
        break;
      case 1:
        co_await race_accept(in, got[0]);
        break;
      case 2:
        if (accepted + 2 <= count) {
          co_await accept_two(in, got[0], got[1]);
          break;
        }
        [[fallthrough]];
      default:
        co_await accept_once(in, got[0]);
    }
    for (tcp_conn& each : got) {
      if (!each.is_open()) continue;
      const bool serves = co_await serve_accepted(in, each, serving);
      accepted += serves;
    }
  }
  co_await serving.join();
}

/// Dials an address, or several of which the first one that answers wins: the others are given up.
task<> dial_once(play& in, tcp_conn& got) {
  const waiting_for noted("a dialer", 0, "dial_tcp");
  std::vector<endpoint> addresses{in.name};
  if (in.deaf.port != 0 && in.with.once_in(2)) addresses.insert(addresses.begin(), in.deaf);
  if (in.with.once_in(4)) {
    addresses.push_back(in.name);
    ++in.doubtful;
  }
  auto made = co_await dial_tcp(in.loop, "tcp6", std::span<const endpoint>(addresses));
  if (!made) {
    const std::error_code error = made.error();
    co_return require(error == errc::canceled || is_of_famine(in, error), "a dial ended with", error.value());
  }
  const auto peer = made->peer_endpoint();
  require(peer && *peer == in.name, "a dial made a connection to another address");
  got = std::move(*made);
}

task<> dial_and_leave(play& in, tcp_conn& got, bool drop) {
  const waiting_for noted("a dialer", 0, drop ? "a dial that is dropped" : "a dial that is stopped");
  if (drop) {
    const test::beside dropped(in.loop, dial_once(in, got));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
  } else {
    scope other;
    other.spawn(dial_once(in, got));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
    other.request_stop();
    co_await other.join();
  }
}

task<> race_dial(play& in, tcp_conn& got) {
  auto first = co_await when_any(dial_tcp(in.loop, "tcp6", in.name), sleep_for(in.with.a_while()));
  in.with.note(first.index);
  if (first.index != 0) co_return;
  auto& won = std::get<0>(first.value);
  if (won) {
    got = std::move(*won);
  } else {
    require(is_of_famine(in, won.error()), "a dial ended with", won.error().value());
  }
}

/// A dial that is given up may have made its connection already: the listener sees that it has ended.
task<> dial_somehow(play& in, tcp_conn& got) {
  ++in.doubtful;
  switch (in.with.below(4)) {
    case 0:
      co_await dial_and_leave(in, got, in.with.once_in(2));
      break;
    case 1:
      co_await race_dial(in, got);
      break;
    default:
      co_await dial_once(in, got);
  }
  if (got.is_open()) --in.doubtful;
}

task<> dial(play& in, std::size_t index) {
  for (unsigned turns = in.with.below(4); turns > 0; --turns) co_await this_task::yield();
  line& mine = in.dialed[index];
  while (!mine.conn.is_open()) {
    co_await dial_somehow(in, mine.conn);
    if (!mine.conn.is_open()) co_await this_task::yield();
  }
  const auto number = static_cast<std::byte>(index);
  const auto told = co_await mine.conn.write({&number, 1});
  if (!told) throw broken("the first octet: " + told.error().message());
  co_await serve(in, mine);
}

task<> act(play& in, std::size_t count) {
  scope all;
  all.spawn(accept_all(in, count));
  all.spawn(starve(in));
  for (std::size_t i = 0; i < count; ++i) all.spawn(dial(in, i));
  const waiting_for noted("the play", 0, "its connections");
  co_await all.join();
}

}  // namespace

namespace {

/// An address that answers no SYN: the queue of its listener is full.
class deaf_listener {
 public:
  deaf_listener() {
    constexpr int one_connection = 0;
    or_throw(bind_socket(listener_.get(), endpoint{ip_address::loopback(), 0}));
    or_throw(listen_socket(listener_.get(), one_connection));
    or_throw(connect_socket(only_.get(), name()));
  }

  endpoint name() const { return or_throw(uring6::local_endpoint(listener_.get())); }

 private:
  file_descriptor listener_ = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  file_descriptor only_ = or_throw(open_socket(AF_INET6, SOCK_STREAM));
};

void run_play(stage& with) {
  event_loop loop(with.options());
  play in{with, loop};
  std::optional<deaf_listener> deaf;
  if (with.simulated() && with.once_in(2)) in.deaf = deaf.emplace().name();
  tcp_options options;
  options.accept_ahead = with.one_of(0, 1, 4);
  in.listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0", options));
  in.name = or_throw(in.listener.local_endpoint());
  const std::size_t count = 1 + with.below(4);
  for (unsigned i = 0; i < count; ++i) {
    in.dialed.emplace_back().out.number = 2 * i;
    in.accepted.emplace_back().out.number = 2 * i + 1;
  }
  for (std::size_t i = 0; i < count; ++i) {
    in.dialed[i].in = &in.accepted[i].out;
    in.accepted[i].in = &in.dialed[i].out;
  }
  loop.run(act(in, count));
  with.note(loop.core()->ring().trace());
}

}  // namespace

void run_streams(stage& with, std::uint64_t) {
  const std::size_t before = test::open_descriptors();
  run_play(with);
  require(test::open_descriptors() == before, "descriptors were left open: before, after", before,
          test::open_descriptors());
}

}  // namespace uring6::seeds
