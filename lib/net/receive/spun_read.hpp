// How a source reads while its loop spins: it asks the socket itself, again and again. Where datagrams come one by one
// within a spin, that tells of them sooner than the ring, which polls, puts work off, and is entered for it.
#pragma once

#include <cstddef>

#include "runtime/loop/spinner.hpp"
#include "uring/buffer_pool.hpp"

namespace uring6::detail {

class receive_source;

class spun_read final : public watched_socket {
 public:
  explicit spun_read(receive_source& source) noexcept : source_(source) {}
  spun_read(const spun_read&) = delete;
  spun_read& operator=(const spun_read&) = delete;
  ~spun_read() { stop(); }

  /// The spins look at the socket from now on, until they have found something. False: a read of the ring is faster, or
  /// there is no place or no buffer for it.
  bool begin() noexcept;

  /// The ring has told of `datagrams` at once. Is it time to read by spinning again? True after 16 single ones in a
  /// row.
  bool wants_to_spin_after(std::size_t datagrams) noexcept;

  bool try_read() noexcept override;
  void return_to_ring() noexcept override;

 private:
  int read(bool payload_only) noexcept;
  void stop() noexcept;
  void leave() noexcept;

  receive_source& source_;
  buffer* buffer_ = nullptr;         // what is read into
  bool spin_is_faster_ = true;       // it is faster than the ring
  bool refused_ = false;             // a filter of system calls lets only the ring pass
  unsigned empty_reads_ = 0;         // that found nothing, since it began
  unsigned first_read_hits_ = 0;     // times in a row that the first look found something
  unsigned single_completions_ = 0;  // times in a row that the ring told of a single datagram
};

}  // namespace uring6::detail
