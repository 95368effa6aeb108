// The demo's burst: as many datagrams in flight as the receiver's buffer holds, and no more.
#pragma once

#include <vector>

#include "demo/ledger.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/task.hpp"

namespace uring6::tool {

/// Sends the burst of `book` in batches. The server answers the last datagram of each, and no more than two batches are
/// in flight at a time. Both fit into its receive buffer, so a receiver that keeps up loses nothing.
class burst_sender {
 public:
  /// `receive_buffer`: the server's, in octets as the kernel counts them (SO_RCVBUF).
  burst_sender(event_loop& loop, packet_conn& conn, endpoint server, std::size_t receive_buffer, ledger& book);

  /// Enters into the book how many datagrams were sent, the time, and the number of system calls.
  task<> run();

 private:
  void fill(std::size_t count);
  task<bool> wait_for_answers(std::size_t until);

  event_loop& loop_;
  packet_conn& conn_;
  endpoint server_;
  ledger& book_;
  std::vector<write_slot> batch_;
  std::vector<std::byte> payloads_;
  std::size_t next_ = 0;      // sequence number of the next datagram
  std::size_t answered_ = 0;  // all datagrams before this one are no longer in flight
  int silences_ = 0;
};

}  // namespace uring6::tool
