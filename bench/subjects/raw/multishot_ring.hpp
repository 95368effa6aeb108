// io_uring in plain C: multishot recvmsg into a ring of provided buffers.
#pragma once

#include <liburing.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/socket.hpp"
#include "subjects/subject.hpp"

namespace bench::raw {

class multishot_ring {
 public:
  struct shape {
    unsigned buffers = 64;    // a power of two
    unsigned sockets = 1;     // armed at the same time
    std::size_t control = 0;  // octets of control messages
    std::size_t payload = largest_payload;
    bool spins = false;  // looks for deferred task work without entering the kernel
  };

  /// A received datagram or train. It stays in its buffer until that is released.
  struct arrival {
    std::uint64_t socket;
    std::uint16_t buffer;
    sockaddr_in6* source;
    std::byte* control;
    std::size_t control_length;
    std::byte* payload;
    std::size_t size;
  };

  explicit multishot_ring(const shape& wanted);
  ~multishot_ring();
  multishot_ring(const multishot_ring&) = delete;
  multishot_ring& operator=(const multishot_ring&) = delete;

  /// The next free entry; submits the queued ones if there is none.
  io_uring_sqe& entry();

  /// Arms a read with the next enter. `socket` identifies it in each `arrival`.
  void arm(int fd, std::uint64_t socket);

  /// Submits the queued entries, and waits for a completion, or only looks for one.
  void enter(bool block);

  /// The same, blocking. If the last `reap` saw as many completions as the kernel posts in one piece of deferred work,
  /// this enter lets it do four pieces, and does not sleep for them.
  void enter_for_pieces();

  /// Handles every waiting completion: `take(const arrival&)` for data, `again(socket)` for a multishot read that has
  /// ended.
  template <class Take, class Again>
  void reap(Take take, Again again) {
    unsigned head = 0;
    unsigned reaped = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++reaped;
      if (cqe->res < 0 && cqe->res != -ENOBUFS) returned(cqe->res, "a completion");
      if (cqe->flags & IORING_CQE_F_BUFFER) take(read(*cqe));
      if ((cqe->flags & IORING_CQE_F_MORE) == 0) again(cqe->user_data);
    }
    ::io_uring_cq_advance(&ring_, reaped);
    last_reaped_ = reaped;
    give_back();
  }

  /// Marks a buffer as used: the kernel gets it with the next `give_back`, which ends every `reap`.
  void release(std::uint16_t id) noexcept {
    ::io_uring_buf_ring_add(buffers_, buffer(id), static_cast<unsigned>(stride_), id,
                            ::io_uring_buf_ring_mask(shape_.buffers), freed_++);
  }

  void give_back() noexcept { ::io_uring_buf_ring_advance(buffers_, std::exchange(freed_, 0)); }

 private:
  static constexpr std::size_t name_room = 32;
  static constexpr std::size_t head_room = sizeof(io_uring_recvmsg_out) + name_room;

  static int returned(int result, const char* what);
  std::byte* buffer(std::uint16_t id) noexcept { return memory_.data() + stride_ * id; }
  void provide_buffers();

  /// Header, name, control and payload follow each other, the areas as large as they were requested.
  arrival read(const io_uring_cqe& cqe) {
    const auto id = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    const auto filled = static_cast<std::size_t>(cqe.res);
    const std::size_t skipped = head_room + shape_.control;
    std::byte* const data = buffer(id);
    if (filled < skipped) returned(-EBADMSG, "a buffer without its header");
    io_uring_recvmsg_out header;
    std::memcpy(&header, data, sizeof header);
    return {.socket = cqe.user_data,
            .buffer = id,
            .source = reinterpret_cast<sockaddr_in6*>(data + sizeof header),
            .control = data + head_room,
            .control_length = header.controllen,
            .payload = data + skipped,
            .size = filled - skipped};
  }

  shape shape_;
  std::size_t stride_;
  std::vector<std::byte> memory_;
  io_uring ring_{};
  io_uring_buf_ring* buffers_ = nullptr;
  int freed_ = 0;
  unsigned last_reaped_ = 0;
  msghdr message_{};
};

}  // namespace bench::raw
