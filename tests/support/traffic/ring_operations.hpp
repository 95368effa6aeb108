// A ring without a loop: operations that record their completions, and a driver that runs the ring until a condition
// holds.
#pragma once

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
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
