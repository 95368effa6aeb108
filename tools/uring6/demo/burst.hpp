// The demo's burst: as many datagrams as the receiver can take, and no more.
#pragma once

#include <vector>

#include "demo/ledger.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/task.hpp"

namespace uring6::tool {

/// Sends the burst of `book` in batches. The server answers the last one of each, and no more than two
/// batches are on their way at a time, which fit into its receive buffer together: a receiver that keeps up
/// loses nothing.
class burst_sender {
 public:
  /// `receive_buffer`: the server's, in octets as the kernel counts them (SO_RCVBUF).
  burst_sender(event_loop& loop, packet_conn& conn, endpoint server, std::size_t receive_buffer, ledger& book);

  /// Enters into the book what was sent, how long it took and how often the kernel was called.
  task<> run();

 private:
  void fill(std::size_t count);
  task<bool> wait_for_answers(std::size_t until);

  event_loop& loop_;
  packet_conn& conn_;
  endpoint server_;
  ledger& book_;
  std::vector<outgoing> batch_;
  std::vector<std::byte> payloads_;
  std::size_t next_ = 0;      // sequence number of the next one
  std::size_t answered_ = 0;  // all before this one are no longer on their way
  int silences_ = 0;
};

}  // namespace uring6::tool
