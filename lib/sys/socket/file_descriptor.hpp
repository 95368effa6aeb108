// file_descriptor: owns one open descriptor.
#pragma once

#include <utility>

#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Owns an open file descriptor and closes it at the end. Move-only; an empty one owns nothing.
class file_descriptor {
 public:
  file_descriptor() noexcept = default;
  explicit file_descriptor(int fd) noexcept : fd_(fd) {}
  file_descriptor(file_descriptor&& other) noexcept : fd_(other.release()) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    file_descriptor(std::move(other)).swap(*this);
    return *this;
  }
  ~file_descriptor() { (void)close(); }

  /// The descriptor, still owned here; -1 when empty.
  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Gives the descriptor away: the caller closes it. -1 when empty.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  /// Closes the descriptor and returns the kernel's error. Empty afterwards, also after an error. `errc::closed` when
  /// empty.
  droppable_result<void> close() noexcept;

  void swap(file_descriptor& other) noexcept { std::swap(fd_, other.fd_); }

 private:
  int fd_ = -1;
};

/// A descriptor of the caller. Unless it is moved out, the destructor leaves it open: so an exception does not close
/// it.
class lent_descriptor {
 public:
  explicit lent_descriptor(int fd) noexcept : fd_(fd) {}
  lent_descriptor(const lent_descriptor&) = delete;
  lent_descriptor& operator=(const lent_descriptor&) = delete;
  ~lent_descriptor() { (void)fd_.release(); }

  /// For a constructor that moves from the result in its last step.
  file_descriptor&& take() noexcept { return std::move(fd_); }

 private:
  file_descriptor fd_;
};

}  // namespace uring6::inline v0
