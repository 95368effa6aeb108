#include "demo/client.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>

#include "demo/message.hpp"
#include "uring6/format.hpp"

namespace uring6::tool {
namespace {

control_message control_of(const sighting& expected) {
  control_message control;
  control.traffic_class = expected.traffic_class;
  control.hop_limit = expected.hop_limit;
  if (expected.destination.is_multicast()) {
    control.interface_index = expected.interface_index;
    control.source = expected.source.address;
  }
  return control;
}

/// Sends one datagram and waits for its answer; returns the error, or nothing.
task<std::error_code> exchange(packet_conn& conn, endpoint server, std::uint32_t sequence, sample& mine,
                               std::uint64_t token, endpoint& answered_by) {
  std::vector<std::byte> payload(mine.expected.length);
  write_message({token, message::kind::sample, sequence, 1}, payload);
  const auto sent = co_await conn.write_to(payload, control_of(mine.expected), server);
  if (!sent) co_return sent.error();
  mine.sent = true;
  for (;;) {
    const auto got = co_await next_answer(conn, token);
    if (!got) co_return got.error();
    if (got->sequence != sequence) continue;  // an answer to an earlier datagram, which was given up
    answered_by = got->from;
    co_return std::error_code{};
  }
}

}  // namespace

task<result<answer>> next_answer(packet_conn& conn, std::uint64_t token) {
  std::array<std::byte, shortest_payload> buffer;
  const auto set = conn.set_read_deadline(std::chrono::steady_clock::now() + std::chrono::seconds(2));
  if (!set) co_return fail(set.error());
  for (;;) {
    const auto got = co_await conn.read_from(buffer);
    if (!got) co_return fail(got.error());
    const auto said = read_message(got->payload, token);
    if (said && said->what == message::kind::answer) co_return answer{said->sequence, got->source};
  }
}

task<> send_samples(packet_conn& conn, endpoint server, std::span<sample> mine, ledger& book) {
  or_throw(conn.set_traffic_class(0x14));
  or_throw(conn.set_hop_limit(33));
  or_throw(conn.set_multicast_hop_limit(33));
  for (sample& each : mine) {
    const auto sequence = static_cast<std::uint32_t>(&each - book.samples.data());
    endpoint answered_by;
    const auto error = co_await exchange(conn, server, sequence, each, book.token, answered_by);
    if (error && !each.sent) {
      ++book.not_sent[error.message()];
    } else if (error) {
      book.failures.push_back(fmt::format("no answer from {}: {}", server, error.message()));
    } else if (!server.address.is_multicast() && answered_by != server) {
      book.failures.push_back(fmt::format("{} was asked and {} answered", server, answered_by));
    }
  }
}

}  // namespace uring6::tool
