// What the three kinds of sockets (packet_socket, stream_socket, accept_queue) have in common: their loop, their
// descriptor, and the thread that may change them.
#pragma once

#include <cassert>
#include <memory>
#include <system_error>
#include <utility>

#include "runtime/loop/loop_core.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// Open from `open` on until its descriptor has been closed or released. The loop closes it when the loop ends.
class owned_socket : public resident {
 public:
  owned_socket(const owned_socket&) = delete;
  owned_socket& operator=(const owned_socket&) = delete;

  int fd() const noexcept { return fd_.get(); }
  bool closed() const noexcept { return fd_.get() < 0; }
  const std::shared_ptr<loop_core>& loop() const noexcept { return loop_; }

  /// May the calling thread change the socket? Errors: closed, wrong_thread. The child of a fork may, so that it can
  /// close its copy.
  std::error_code check_thread() const noexcept {
    if (closed()) return errc::closed;
    const std::error_code error = loop_->check_thread();
    return error == errc::forked ? std::error_code{} : error;
  }

  /// Does another thread run the loop, and so perhaps change the socket at this moment?
  bool busy_elsewhere() const noexcept { return !closed() && loop_->busy_elsewhere(); }

 protected:
  explicit owned_socket(std::shared_ptr<loop_core> loop) noexcept : loop_(std::move(loop)) { assert(loop_); }
  ~owned_socket() {
    assert(closed() && "the derived class closes or releases the descriptor, and ends its operations");
  }

  /// The last step of a constructor: nothing can fail any more.
  void open(file_descriptor&& fd) noexcept {
    assert(closed() && !linked());
    fd_ = std::move(fd);
    loop_->add(*this);
  }

  /// May an operation begin? Errors: closed, deadline_exceeded, wrong_thread, forked.
  std::error_code check(bool deadline_passed) const noexcept {
    if (closed()) return errc::closed;
    if (deadline_passed) return errc::deadline_exceeded;
    return loop_->check_owner();
  }

  std::shared_ptr<loop_core> loop_;
  file_descriptor fd_;
};

}  // namespace uring6::inline v0::detail
