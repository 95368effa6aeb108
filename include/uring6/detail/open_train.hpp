// The train that a conn is handing out datagram by datagram. What a read needs of it is all here, in the header: the
// next datagram of a train costs a copy and no call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "uring6/export.hpp"

namespace uring6 {
struct datagram;
}

namespace uring6::detail {

class packet_socket;

/// Whose train it is: its books say what they said when the train was opened, until it is closed.
struct train_owner {
  virtual void close_train() noexcept = 0;

 protected:
  ~train_owner() = default;
};

/// A thread has one at most, and only while it runs a loop. A read that might have taken all of it opens it. Whatever
/// could change that closes it first: another way of reading, somebody who waits, a deadline, the end of the conn, of
/// the turn or of the run. So a read that finds its conn here need not ask for any of these.
struct open_train {
  const packet_socket* of = nullptr;  // no conn: there is none
  train_owner* owner = nullptr;
  const datagram* head = nullptr;  // what is known of each of them but where it lies
  std::byte* next = nullptr;
  std::uint32_t length = 0;  // of each, octets
  std::uint32_t left = 0;    // how many are left, without the last of the buffer, which may be shorter

  void close() noexcept {
    if (owner) owner->close_train();
  }
};

[[gnu::tls_model("initial-exec")]] URING6_EXPORT extern constinit thread_local open_train this_threads_train;

}  // namespace uring6::detail
