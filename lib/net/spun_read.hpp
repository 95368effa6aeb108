// How a receiver reads while its loop spins: it asks the socket itself, again and again. Where datagrams come one by
// one within a spin, that tells of them sooner than the ring, which polls, puts work off, and is entered for it.
#pragma once

#include <cstddef>

#include "net/receiver.hpp"
#include "runtime/spinner.hpp"

namespace uring6::detail {

class receiver::spun_read final : public watched_socket {
 public:
  explicit spun_read(receiver& of) noexcept : of_(of) {}
  spun_read(const spun_read&) = delete;
  spun_read& operator=(const spun_read&) = delete;
  ~spun_read() { end(); }

  /// The spins look at the socket from now on, until they have found something; they do not yet. False: the ring is to
  /// tell.
  bool begin() noexcept;

  /// The ring has told of so many datagrams at once. Of single ones it is asked no more after a while.
  void ring_told(std::size_t datagrams) noexcept;

  bool look() noexcept override;
  void go_by_ring() noexcept override;

 private:
  int read(bool bare) noexcept;
  void end() noexcept;

  receiver& of_;
  buffer* into_ = nullptr;  // what is read into
  bool pays_ = true;        // it is faster than the ring
  bool refused_ = false;    // a filter of system calls knows the ring only
  unsigned looks_ = 0;      // that found nothing, since it began
  unsigned at_once_ = 0;    // times in a row that the first look found something
  unsigned alone_ = 0;      // times in a row that the ring told of a single datagram
};

}  // namespace uring6::detail
