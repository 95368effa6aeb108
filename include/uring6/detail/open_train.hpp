// The open train: the train that a conn hands out datagram by datagram. Everything that a read needs of it is in this
// header, so that the next datagram of a train costs a copy and no call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "uring6/export.hpp"

namespace uring6::inline v0 {
struct datagram;
}

namespace uring6::inline v0::detail {

class packet_socket;

/// The receiver that owns the open train. close_train() brings its counters and its backlog up to date; while the
/// train is open they have their values from the time when it was opened.
struct train_owner {
  virtual void close_train() noexcept = 0;

 protected:
  ~train_owner() = default;
};

/// A thread has at most one open train, and only while it runs a loop. A read that leaves datagrams of a train opens
/// it.
///
/// Every event that could change the answer of a read closes the train first: another kind of read, a waiting reader,
/// a deadline, the end of the conn, of the turn or of the run. So a read that finds its own conn here need not check
/// for these.
struct open_train {
  const packet_socket* of = nullptr;  // the conn; nullptr: no train is open
  train_owner* owner = nullptr;
  const datagram* head = nullptr;  // what all datagrams of the train share: everything but the payload's place
  std::byte* next = nullptr;
  std::uint32_t length = 0;  // of each datagram, octets
  std::uint32_t left = 0;    // datagrams left, without the buffer's last one, which may be shorter

  void close() noexcept {
    if (owner) owner->close_train();
  }
};

[[gnu::tls_model("initial-exec")]] URING6_EXPORT extern constinit thread_local open_train this_threads_train;

}  // namespace uring6::inline v0::detail
