// Conns that send each other datagrams, while their readers and writers are raced, stopped, dropped and timed out, and
// the conns are released, adopted and closed.
#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <vector>

#include "schedule/datagram_books.hpp"
#include "schedule/packet_play.hpp"
#include "schedule/stage.hpp"
#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/scope.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"

namespace uring6::seeds {
namespace {

using namespace packets;
using namespace std::chrono_literals;

task<after> read_once(play& in, place& at, unsigned id, bool patient, stop by_others = stop::none) {
  std::array<std::byte, longest> memory;
  const std::span<std::byte> buffer(memory.data(), in.with.one_of(longest, longest, sizeof(stamp)));
  const waiting_for noted("reader", id, "read_from");
  const auto got = co_await at.conn.read_from(buffer, patient ? read_flags::none : read_flags::dont_wait);
  if (!got) co_return judge(in, at, got.error(), by_others);
  in.with.note(got->full_length);
  at.books.given(id, *got);
  co_return after::again;
}

task<after> read_many(play& in, place& at, unsigned id, bool patient, stop by_others = stop::none) {
  std::array<std::array<std::byte, longest>, 5> memory;
  std::array<read_slot, 5> slots;
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i].buffer = memory[i];
  const std::span<read_slot> some(slots.data(), 1 + in.with.below(slots.size()));
  const waiting_for noted("reader", id, "read_batch");
  const auto got = co_await at.conn.read_batch(some, patient ? read_flags::none : read_flags::dont_wait);
  if (!got) co_return judge(in, at, got.error(), by_others);
  require(*got >= 1 && *got <= some.size(), "read_batch filled", *got);
  in.with.note(*got);
  for (const read_slot& each : some.first(*got)) at.books.given(id, each.received);
  co_return after::again;
}

task<after> borrow(play& in, place& at, unsigned id, bool patient, stop by_others = stop::none) {
  datagram_batch batch;
  {
    const waiting_for noted("reader", id, "receive");
    const auto got = co_await at.conn.receive(batch, patient ? read_flags::none : read_flags::dont_wait);
    if (!got) co_return judge(in, at, got.error(), by_others);
    in.with.note(*got);
    std::size_t seen = 0;
    for (const datagram& each : batch) {
      at.books.given(id, each);
      ++seen;
    }
    require(seen == *got, "a batch has another size: told, seen", *got, seen);
  }
  // The pool goes on with fewer buffers while the batch is held.
  for (unsigned turns = in.with.below(4); turns > 0; --turns) co_await this_task::yield();
  co_return after::again;
}

task<after> read_somehow(play& in, place& at, unsigned id, stop by_others = stop::none) {
  const bool patient = !in.with.once_in(6);
  switch (in.with.below(3)) {
    case 0:
      co_return co_await read_many(in, at, id, patient, by_others);
    case 1:
      co_return co_await borrow(in, at, id, patient, by_others);
    default:
      co_return co_await read_once(in, at, id, patient, by_others);
  }
}

task<> nothing_of(play& in, place& at, unsigned id) {
  (void)co_await read_somehow(in, at, id, stop::possible);
}

/// A read against a timer.
task<after> race(play& in, place& at, unsigned id) {
  std::array<std::byte, longest> memory;
  const waiting_for noted("reader", id, "when_any(read_from, sleep_for)");
  const auto first = co_await when_any(at.conn.read_from(memory), sleep_for(in.with.a_while()));
  in.with.note(first.index);
  if (first.index != 0) {
    for (unsigned turns = in.with.below(3); turns > 0; --turns) co_await this_task::yield();
    co_return in.stopping ? after::ended : after::again;
  }
  const auto& got = std::get<0>(first.value);
  if (!got) co_return judge(in, at, got.error());
  at.books.given(id, *got, true);
  co_return after::again;
}

/// A read that is stopped, or whose frame is destroyed, wherever it is by then.
task<after> read_and_leave(play& in, place& at, unsigned id, bool drop) {
  const waiting_for noted("reader", id, drop ? "a read that is dropped" : "a read that is stopped");
  if (drop) {
    const test::beside other(in.loop, nothing_of(in, at, id));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
  } else {
    scope other;
    other.spawn(nothing_of(in, at, id));
    for (unsigned turns = in.with.below(6); turns > 0; --turns) co_await this_task::yield();
    other.request_stop();
    co_await other.join();
  }
  co_return in.stopping || at.closed ? after::ended : after::again;
}

task<> reader(play& in, place& at) {
  const unsigned id = ++in.readers;
  constexpr unsigned rounds = 40;
  for (unsigned i = 0; i < rounds; ++i) {
    after then = after::again;
    switch (in.with.below(6)) {
      case 0:
        then = co_await race(in, at, id);
        break;
      case 1:
        then = co_await read_and_leave(in, at, id, in.with.once_in(2));
        break;
      default:
        then = co_await read_somehow(in, at, id);
    }
    if (then == after::ended) co_return;
    if (in.with.once_in(3)) co_await this_task::yield();
  }
}

/// What a writer does to its payload as soon as its write has ended: nothing may read the payload any more.
constexpr std::byte spoiled{0xdd};

/// A write that has no room, or whose conn ends, was not sent.
bool was_sent(play& in, const place& from, const std::error_code& error, stop by_others) {
  in.with.note(error);
  if (!error) return true;
  (void)judge(in, from, error, by_others);
  return false;
}

/// Often the same one, so that datagrams of several writers may leave as one train.
unsigned any_length(play& in) noexcept {
  return in.with.once_in(2) ? 64 : 16 + in.with.below(longest - 16);
}

/// The number of a datagram, `at` places behind the first one of a call. What is written ahead has no order: a datagram
/// that finds no room in the socket waits for it, and later ones may find some before.
stamp number(const place& from, unsigned writer, unsigned call, unsigned at, unsigned length) noexcept {
  constexpr unsigned most_of_a_call = 32;
  const unsigned group = from.options.coalesce_writes ? 0 : call;
  return {writer, group, call * most_of_a_call + at, length};
}

task<> write_once(play& in, place& from, place& to, unsigned id, unsigned group, stop by_others = stop::none) {
  const bool empty = in.with.once_in(8);
  const stamp what = number(from, id, group, 0, any_length(in));
  auto payload = empty ? std::vector<std::byte>() : payload_of(what);
  empty ? to.books.begin_empty() : to.books.begin(what);
  const write_flags flags = in.with.once_in(8) ? write_flags::dont_wait : write_flags::none;
  const waiting_for noted("writer", id, "write_to");
  result<std::size_t> sent = fail(errc::closed);
  if (from.peer) {
    sent = co_await from.conn.write(payload, control_message(), flags);
  } else {
    sent = co_await from.conn.write_to(payload, to.name, flags);
  }
  std::ranges::fill(payload, spoiled);
  const bool went = was_sent(in, from, sent ? std::error_code() : sent.error(), by_others);
  empty ? to.books.end_empty(went) : to.books.end(what, went);
}

task<> write_many(play& in, place& from, place& to, unsigned id, unsigned group, stop by_others = stop::none) {
  const unsigned count = 1 + in.with.below(20);
  std::vector<stamp> stamps;
  std::vector<std::vector<std::byte>> payloads;
  std::vector<write_slot> slots;
  unsigned length = any_length(in);
  for (unsigned i = 0; i < count; ++i) {
    if (in.with.once_in(4)) length = any_length(in);
    stamps.push_back(number(from, id, group, i, length));
    payloads.push_back(payload_of(stamps.back()));
    to.books.begin(stamps.back());
  }
  for (const auto& each : payloads) slots.push_back({each, {}, from.peer ? endpoint() : to.name, {}});
  const waiting_for noted("writer", id, "write_batch");
  const auto sent = co_await from.conn.write_batch(slots);
  for (auto& each : payloads) std::ranges::fill(each, spoiled);
  std::size_t went = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    // An error of the whole call is not in the slots.
    const bool each_went = was_sent(in, from, !sent && !slots[i].error ? sent.error() : slots[i].error, by_others);
    went += each_went;
    to.books.end(stamps[i], each_went);
  }
  require((sent ? *sent : 0) == went, "write_batch sent other datagrams than it told: told, slots", sent ? *sent : 0,
          went);
}

task<> write_and_leave(play& in, place& from, place& to, unsigned id, unsigned group) {
  const waiting_for noted("writer", id, "a write that is stopped");
  scope other;
  if (in.with.once_in(2)) {
    other.spawn(write_once(in, from, to, id, group, stop::possible));
  } else {
    other.spawn(write_many(in, from, to, id, group, stop::possible));
  }
  for (unsigned turns = in.with.below(4); turns > 0; --turns) co_await this_task::yield();
  other.request_stop();
  co_await other.join();
}

/// A connected conn gets datagrams of its peer only.
place& destination_of(play& in, place& from) {
  if (from.peer) return *from.peer;
  place& any = from.target ? *from.target : in.any();
  if (from.options.coalesce_writes) from.target = any.peer && any.peer != &from ? &from : &any;
  return any.peer && any.peer != &from ? from : any;
}

task<> writer(play& in, place& from) {
  const unsigned id = ++in.writers;
  for (unsigned left = 1 + in.with.below(8), group = 0; left > 0 && !from.closed; --left, ++group) {
    place& to = destination_of(in, from);
    switch (in.with.below(5)) {
      case 0:
        co_await write_many(in, from, to, id, group);
        break;
      case 1:
        co_await write_and_leave(in, from, to, id, group);
        break;
      default:
        co_await write_once(in, from, to, id, group);
    }
    if (in.with.once_in(4)) {
      const waiting_for noted("writer", id, "flush");
      const auto flushed = co_await from.conn.flush();
      if (!flushed) (void)judge(in, from, flushed.error());
    }
    for (unsigned turns = in.with.below(3); turns > 0; --turns) co_await this_task::yield();
  }
}

void release_and_adopt(play& in, place& at) {
  at.discarded += at.conn.stats().discarded;
  const auto taken = at.conn.release();
  require(static_cast<bool>(taken), "release failed");
  in.with.note(taken->datagrams.size());
  auto adopted = adopt_packet(in.loop, *taken, at.options);
  if (!adopted) throw broken("adopt_packet: " + adopted.error().message());
  at.conn = std::move(*adopted);
}

/// One that has passed, or that passes when the loop has nothing else to do.
std::chrono::steady_clock::time_point a_deadline(play& in) {
  if (!in.with.simulated() || in.with.once_in(3)) return in.loop.now() - 1s;
  return in.loop.now() + in.with.a_while();
}

/// A turn, or until the deadline has passed.
task<> pass(play& in, std::chrono::steady_clock::time_point due) {
  if (in.with.once_in(2)) co_await sleep_until(due);
  co_await this_task::yield();
}

task<> nuisance(play& in) {
  for (unsigned left = in.with.below(10); left > 0; --left) {
    for (unsigned turns = in.with.below(8); turns > 0; --turns) co_await this_task::yield();
    place& at = in.any();
    if (at.closed) continue;
    const auto due = a_deadline(in);
    switch (in.with.below(6)) {
      case 0:
      case 1:
        at.earliest_deadline = std::min(at.earliest_deadline, due);
        (void)at.conn.set_read_deadline(due);
        co_await pass(in, due);
        if (!at.closed) (void)at.conn.set_read_deadline(std::nullopt);
        break;
      case 2:
        at.earliest_deadline = std::min(at.earliest_deadline, due);
        (void)at.conn.set_deadline(due);
        co_await pass(in, due);
        if (!at.closed) (void)at.conn.set_deadline(std::nullopt);
        break;
      case 3:
        // A conn that coalesces writes tells of their loss only until it is given away.
        if (in.options.moved_out_limit > 0 && !at.options.coalesce_writes) release_and_adopt(in, at);
        break;
      case 4:
        (void)at.conn.set_control_message(control_flags::hop_limit, in.with.once_in(2));
        break;
      default:
        if (!in.with.once_in(4)) break;
        at.closed = true;
        at.conn.close();
        at.books.close();
    }
  }
}

/// Reads what is on its way, or waits for ever for what was lost.
task<> read_the_rest(play& in, place& at) {
  const unsigned id = ++in.readers;
  const auto gone = [&] { return at.all_discarded() + in.lost_to(at); };
  while (at.books.missing() > gone()) (void)co_await read_once(in, at, id, true);
  require(at.books.missing() == gone(), "datagrams are counted as lost that readers got: missing, counted",
          at.books.missing(), gone());
  for (unsigned more = 0; more < 3; ++more) (void)co_await read_once(in, at, id, false);
}

task<> read_alone(play& in, place& at) {
  (void)co_await read_once(in, at, ++in.readers, true, stop::possible);
}

/// Two readers and one datagram: when the first one is stopped, at any moment, and has not read it, the second one
/// does.
task<> leave_to_the_next(play& in, place& at) {
  place& from = at.peer ? *at.peer : at;
  if (from.peer || from.closed || from.options.coalesce_writes) co_return;
  scope first;
  scope second;
  first.spawn(read_alone(in, at));
  second.spawn(read_alone(in, at));
  for (unsigned turns = in.with.below(3); turns > 0; --turns) co_await this_task::yield();
  co_await write_once(in, from, at, ++in.writers, 0);
  for (unsigned turns = in.with.below(4); turns > 0; --turns) co_await this_task::yield();
  first.request_stop();
  co_await first.join();
  const waiting_for noted("the play", at.number, "the second of two readers");
  if (at.books.missing() <= at.all_discarded() + in.lost_to(at)) second.request_stop();
  co_await second.join();
}

task<> act(play& in) {
  scope readers;
  scope writers;
  for (place& each : in.places) {
    for (unsigned i = in.with.below(5); i > 0; --i) readers.spawn(reader(in, each));
    for (unsigned i = in.with.below(4); i > 0; --i) writers.spawn(writer(in, each));
  }
  writers.spawn(nuisance(in));
  {
    const waiting_for noted("the play", 0, "its writers");
    co_await writers.join();
  }
  in.stopping = true;
  readers.request_stop();
  {
    const waiting_for noted("the play", 0, "its readers");
    co_await readers.join();
  }
  in.stopping = false;
  for (place& each : in.places) {
    if (each.closed) continue;
    const waiting_for noted("the play", each.number, "flush at the end");
    const auto flushed = co_await each.conn.flush();
    if (!flushed) (void)judge(in, each, flushed.error());
  }
  for (place& each : in.places) {
    const waiting_for noted("the play", each.number, "datagrams that were sent and have not come");
    if (each.closed) continue;
    co_await read_the_rest(in, each);
    co_await leave_to_the_next(in, each);
  }
}

/// The last thing that a run does: its writes leave nevertheless.
task<> last_words(play& in) {
  for (place& from : in.places) {
    const unsigned id = ++in.writers;
    if (!from.closed) co_await write_once(in, from, destination_of(in, from), id, 0);
  }
}

task<> hear_last_words(play& in) {
  for (place& each : in.places) {
    const waiting_for noted("the play", each.number, "what was written at the end of the run before");
    if (!each.closed) co_await read_the_rest(in, each);
  }
}

void open_places(play& in) {
  const unsigned count = 2 + in.with.below(2);
  for (unsigned i = 0; i < count; ++i) {
    place& made = in.places.emplace_back();
    made.number = i;
    made.options.receive_offload = !in.with.once_in(3);
    made.options.coalesce_writes = in.with.once_in(3);
    if (in.with.once_in(3)) made.options.zero_copy_from = in.with.one_of(1, 64, longest);
    if (in.with.once_in(3)) {
      made.options.longest_datagram = longest;
      made.options.receive_offload = false;
    }
    if (i > 0 && in.with.once_in(3)) {
      made.peer = &in.places[0];
      made.conn = test::dial(in.loop, made.peer->name, made.options);
    } else {
      made.conn = test::open_conn(in.loop, made.options);
    }
    made.name = test::name_of(made.conn);
  }
}

void check_end(play& in) {
  for (const place& each : in.places) {
    if (!each.closed) require(each.conn.stats().kernel_drops == 0, "the kernel dropped datagrams");
  }
  for (place& each : in.places) each.conn = packet_conn();  // a closed conn keeps the copy that it made last
  for (const pool_stats& each : in.loop.pools()) {
    require(each.in_use == 0, "buffers are in use after all conns were closed:", each.in_use);
    require(each.lost == 0, "buffers are lost:", each.lost);
    require(each.moved_out_bytes == 0, "copies are left:", each.moved_out_bytes);
    in.with.note(each.filled);
  }
}

task<> note_failure(task<> what, std::exception_ptr& failure) {
  try {
    co_await std::move(what);
  } catch (...) {
    failure = std::current_exception();
  }
}

/// The loop runs by itself, or another one drives it.
void run(play& in, task<> what) {
  if (!in.driven) return in.loop.run(std::move(what));
  std::exception_ptr failure;
  scope tasks(in.loop);
  tasks.spawn(note_failure(std::move(what), failure));
  while (tasks.running() > 0) {
    if (const auto next = in.loop.poll(); !next) throw broken("poll: " + next.error().message());
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void run_packets(stage& with, std::uint64_t) {
  loop_options options = with.options();
  if (with.once_in(4)) options.moved_out_limit = 0;
  event_loop loop(options);
  play in{with, loop, options};
  open_places(in);
  in.driven = with.once_in(8);
  run(in, act(in));
  if (with.once_in(3)) {
    run(in, last_words(in));
    run(in, hear_last_words(in));
  }
  // The loop may end before its conns: it closes them.
  if (with.once_in(4)) {
    with.note(loop.core()->ring().trace());
    { const event_loop ends = std::move(loop); }
    for (const place& each : in.places) require(!each.conn.is_open(), "a conn is open behind the end of its loop");
    return;
  }
  check_end(in);
  with.note(loop.core()->ring().trace());
}

}  // namespace uring6::seeds
