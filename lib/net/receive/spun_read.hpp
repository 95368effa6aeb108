// How a source reads while its loop spins: by a non-blocking system call in each pass of the spin. A datagram that
// arrives within a spin is read sooner than by the ring, for which the kernel polls the socket, defers the read to task
// work, and needs an enter.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/loop/spinner.hpp"
#include "uring/buffer_pool.hpp"

namespace uring6::inline v0::detail {

class receive_source;

class spun_read final : public watched_socket {
 public:
  explicit spun_read(receive_source& source) noexcept : source_(source) {}
  spun_read(const spun_read&) = delete;
  spun_read& operator=(const spun_read&) = delete;
  ~spun_read() { stop(); }

  /// The loop's spins read the socket from now on, until a read returns something. False: a read of the ring is faster,
  /// four other sockets are watched, or the pool has no buffer to spare. Precondition (asserted): not watched yet.
  bool begin() noexcept;

  /// The ring has delivered `datagrams` in one run. Shall the source read by spinning again? True after 16 runs of one
  /// datagram while spins help.
  bool wants_to_spin_after(std::size_t datagrams) noexcept;

  bool try_read() noexcept override;
  void return_to_ring() noexcept override;

 private:
  enum class reader : std::uint8_t {
    spin,
    ring,
    only_ring  // a seccomp filter refuses recv or recvmsg; this does not change any more
  };

  int read(bool payload_only) noexcept;
  void stop() noexcept;
  void leave() noexcept;

  receive_source& source_;
  buffer* buffer_ = nullptr;         // drawn from the pool while watched: where the next read goes
  reader faster_ = reader::spin;     // as far as the last datagrams tell
  unsigned empty_reads_ = 0;         // reads without a datagram since `begin`
  unsigned first_read_hits_ = 0;     // spins in a row that found a datagram with their first read
  unsigned single_completions_ = 0;  // runs of the ring in a row that had a single datagram
};

}  // namespace uring6::inline v0::detail
