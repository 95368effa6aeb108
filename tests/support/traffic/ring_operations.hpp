// A ring without a loop: operations that record their completions, and a driver that runs the ring until a condition
// holds.
#pragma once

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "sys/socket/file_descriptor.hpp"
#include "uring/ring.hpp"

namespace uring6::test {

inline std::unique_ptr<detail::ring> make_ring(unsigned submissions = 8, unsigned completions = 64) {
  auto made = or_throw(detail::ring::create({submissions, completions}));
  const std::error_code error = made->enable();
  if (error) throw std::system_error(error);
  return made;
}

/// A ring whose operations this process executes.
inline std::unique_ptr<detail::ring> make_readiness_ring(unsigned completions = 64) {
  auto made = or_throw(detail::ring::create(
      {.submission_entries = 8, .completion_entries = completions, .driver = loop_driver::readiness}));
  const std::error_code error = made->enable();
  if (error) throw std::system_error(error);
  return made;
}

struct noting_operation : detail::operation {
  void complete(detail::completion what) noexcept override { results.push_back(what); }
  std::vector<detail::completion> results;
  [[nodiscard]] int result() const { return results.at(0).result; }
};

struct nothing final : noting_operation {
  void prepare(io_uring_sqe& entry) noexcept override { ::io_uring_prep_nop(&entry); }
};

/// An operation that a function prepares.
struct prepared final : noting_operation {
  explicit prepared(std::function<void(io_uring_sqe&)> how_) : how(std::move(how_)) {}
  void prepare(io_uring_sqe& entry) noexcept override { how(entry); }
  std::function<void(io_uring_sqe&)> how;
};

/// Waits until the descriptor is readable.
struct wait_readable final : noting_operation {
  explicit wait_readable(int fd_) : fd(fd_) {}
  void prepare(io_uring_sqe& entry) noexcept override { ::io_uring_prep_poll_add(&entry, fd, POLLIN); }
  int fd;
};

/// Both ends of a pair of connected sockets.
struct two_ends {
  explicit two_ends(int type = SOCK_STREAM) {
    std::array<int, 2> made{};
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, made.data()) == 0);
    here = file_descriptor(made[0]);
    there = file_descriptor(made[1]);
  }
  file_descriptor here;
  file_descriptor there;
};

/// A read that stays armed, of datagrams without source and control data, from a group of buffers.
struct armed_read final : noting_operation {
  explicit armed_read(int fd_) : fd(fd_) {}
  void prepare(io_uring_sqe& entry) noexcept override {
    ::io_uring_prep_recv_multishot(&entry, fd, nullptr, 0, 0);
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.buf_group = 0;
  }
  int fd;
};

/// Buffers of group 0 that all name the same memory: their content is of no interest.
class spare_buffers {
 public:
  explicit spare_buffers(detail::ring& on)
      : memory_(std::aligned_alloc(4096, count * sizeof(io_uring_buf)), std::free) {
    ::io_uring_buf_ring_init(entries());
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(entries());
    registration.ring_entries = count;
    REQUIRE(on.add_buffers(registration) == 0);
  }

  /// Adds eight buffers. Fewer than `count` are there at a time.
  void refill() {
    constexpr int more = 8;
    for (int i = 0; i < more; ++i)
      ::io_uring_buf_ring_add(entries(), shared_.data(), static_cast<unsigned>(shared_.size()), 0,
                              ::io_uring_buf_ring_mask(count), i);
    ::io_uring_buf_ring_advance(entries(), more);
  }

 private:
  static constexpr unsigned count = 256;
  io_uring_buf_ring* entries() const { return static_cast<io_uring_buf_ring*>(memory_.get()); }

  std::unique_ptr<void, void (*)(void*)> memory_;
  std::array<char, 64> shared_{};
};

inline file_descriptor counter(unsigned value = 0) {
  return file_descriptor(::eventfd(value, EFD_CLOEXEC));
}

template <class Done>
void drive(detail::ring& on, Done done) {
  for (int enters = 0; !done(); ++enters) {
    REQUIRE(enters < 100'000);
    REQUIRE_FALSE(on.enter(!on.has_queued(), std::chrono::seconds(5)));
    on.reap();
  }
}

/// Queues an operation that the function prepares, and returns its result when it has ended.
inline int result_of(detail::ring& on, std::function<void(io_uring_sqe&)> how) {
  prepared op(std::move(how));
  on.queue(op);
  drive(on, [&] { return op.idle(); });
  REQUIRE(op.results.size() == 1);
  return op.result();
}

/// Lets the ring look once, without a sleep.
inline void turn(detail::ring& on) {
  REQUIRE_FALSE(on.enter(false, {}));
  on.reap();
}

}  // namespace uring6::test
