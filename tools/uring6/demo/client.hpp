// The demo's clients: they send questions, and wait for the answers.
#pragma once

#include <span>

#include "demo/ledger.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/task.hpp"

namespace uring6::tool {

/// An answer of the server.
struct answer {
  std::uint32_t sequence{};
  endpoint from{};
};

/// The next answer that this run's server gives to `conn`; `errc::deadline_exceeded` after two seconds of
/// silence.
task<result<answer>> next_answer(packet_conn& conn, std::uint64_t token);

/// Sends `mine`, samples of the book, to `server`, each when the one before has been answered. The conn's own traffic
/// class and hop limit differ from all that are sent, so that the received values can only come from the control
/// message.
task<> send_samples(packet_conn& conn, endpoint server, std::span<sample> mine, ledger& book);

}  // namespace uring6::tool
