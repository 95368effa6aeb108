#include "demo/burst.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "demo/client.hpp"
#include "demo/message.hpp"

namespace uring6::tool {
namespace {

constexpr std::size_t longest_batch = 128;  // a train, on kernels with such long ones
constexpr int most_silences = 3;

/// A small datagram takes this much of the receive buffer beside its payload (struct sk_buff and its data).
constexpr std::size_t overhead = 1024;

std::size_t batch_size(std::size_t receive_buffer, std::size_t length) {
  // Two batches in flight, and as much again in reserve.
  return std::clamp<std::size_t>(receive_buffer / 4 / (overhead + length), 1, longest_batch);
}

}  // namespace

burst_sender::burst_sender(event_loop& loop, packet_conn& conn, endpoint server, std::size_t receive_buffer,
                           ledger& book)
    : loop_(loop),
      conn_(conn),
      server_(server),
      book_(book),
      batch_(batch_size(receive_buffer, book.burst.expected.length)),
      payloads_(batch_.size() * book.burst.expected.length) {
  book_.burst.longest_train = batch_.size();
  const std::size_t length = book_.burst.expected.length;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    batch_[i].payload = std::span(payloads_).subspan(i * length, length);
    batch_[i].control.traffic_class = book_.burst.expected.traffic_class;
    batch_[i].control.hop_limit = book_.burst.expected.hop_limit;
    batch_[i].destination = server_;
  }
}

task<> burst_sender::run() {
  const std::uint64_t calls_before = loop_.stats().system_calls();
  const auto begin = std::chrono::steady_clock::now();
  bool heard = true;
  while (heard && next_ < book_.burst.wanted) {
    const std::size_t count = std::min(batch_.size(), book_.burst.wanted - next_);
    fill(count);
    const auto sent = co_await conn_.write_batch(std::span(batch_).first(count));
    book_.burst.sent += sent.value_or(0);
    for (const write_slot& each : std::span(batch_).first(count)) {
      if (each.error) ++book_.not_sent[each.error.message()];
    }
    next_ += count;
    heard = co_await wait_for_answers(next_ - count);
  }
  if (heard) heard = co_await wait_for_answers(next_);
  book_.burst.duration = std::chrono::steady_clock::now() - begin;
  book_.burst.system_calls = loop_.stats().system_calls() - calls_before;
}

void burst_sender::fill(std::size_t count) {
  const std::size_t length = book_.burst.expected.length;
  for (std::size_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    write_message({book_.token, message::kind::burst, static_cast<std::uint32_t>(next_ + i), last},
                  std::span(payloads_).subspan(i * length, length));
  }
}

// Returns false if the server has fallen silent.
task<bool> burst_sender::wait_for_answers(std::size_t until) {
  while (answered_ < until) {
    const auto got = co_await next_answer(conn_, book_.token);
    if (got) {
      answered_ = std::max<std::size_t>(answered_, got->sequence + std::size_t{1});
      silences_ = 0;
      continue;
    }
    // The question was lost, and all datagrams in flight with it.
    answered_ = next_;
    if (++silences_ == most_silences || got.error() != errc::deadline_exceeded) {
      book_.failures.push_back(fmt::format("the burst ended after {} datagrams: {}", next_, got.error().message()));
      co_return false;
    }
  }
  co_return true;
}

}  // namespace uring6::tool
