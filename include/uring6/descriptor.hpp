// Any descriptor, awaitable: poll, read and write for pipes, files, terminals, eventfds, netlink.
#pragma once

#include "uring6/version.hpp"

#include <poll.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "uring6/detail/error_slot.hpp"
#include "uring6/detail/operation.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/flags.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// What `poll` waits for, and what it found. poll(2)
enum class poll_events : std::uint32_t {
  none = 0,
  readable = POLLIN,
  urgent = POLLPRI,
  writable = POLLOUT,
  error = POLLERR,          ///< Only found: a program need not ask for it.
  hung_up = POLLHUP,        ///< Only found: a program need not ask for it.
  peer_closed = POLLRDHUP,  ///< The peer of a stream has shut down its writing half.
};

template <>
inline constexpr bool is_flags<poll_events> = true;

namespace detail {

/// One request on a descriptor, in the frame of the waiting coroutine. The kernel may write to the buffer until it
/// posts the request's last completion, so the destructor waits for that completion.
class URING6_EXPORT descriptor_operation : operation, ready_node, stop_listener, resident {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    return suspend(waiting, stop_of(in));
  }
  void tell_wait(wait_listing& to) const;

 protected:
  // own: the derived class fills the entry; the kernel's result is handed out as it is.
  enum class kind : std::uint8_t { poll, read, write, own };

  descriptor_operation() noexcept : fd_(-1), kind_(kind::own) {}

  descriptor_operation(int fd, poll_events events) noexcept
      : fd_(fd), kind_(kind::poll), events_(static_cast<std::uint32_t>(events)) {}
  descriptor_operation(int fd, kind of, void* data, std::size_t size, std::uint64_t offset) noexcept
      : fd_(fd), kind_(of), data_(data), size_(size), offset_(offset) {}
  descriptor_operation(descriptor_operation&&) = default;
  ~descriptor_operation();

  /// Call first in await_resume. Returns the kernel's result, which is not negative, or the error.
  result<std::uint32_t> outcome() noexcept;

 private:
  /// Which end was asked for. It only moves down this list.
  enum class early_end : std::uint8_t {
    none,
    given_up,  // a cancel is on its way: an operation that ends now is not tried again
    abandoned  // the same, and the coroutine is being destroyed: the last completion resumes nothing
  };

  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  void prepare(io_uring_sqe& entry) noexcept override;
  void complete(completion what) noexcept override;
  URING6_HIDDEN bool must_repeat(completion what, bool was_polling) noexcept;
  void stop_requested() noexcept override;
  URING6_HIDDEN void loop_ends() noexcept override { abandon(); }
  URING6_HIDDEN void give_up(early_end how) noexcept;
  void abandon() noexcept;

  loop_core* loop_ = nullptr;
  int fd_;
  kind kind_;
  bool polls_first_ = false;  // the descriptor is non-blocking and was not ready
  early_end early_end_ = early_end::none;
  std::uint32_t events_ = 0;
  void* data_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t offset_ = 0;
  std::uint32_t value_ = 0;
  error_slot error_;
};

class URING6_EXPORT descriptor_poll final : public descriptor_operation {
 public:
  static constexpr std::string_view wait_name = "fd::poll";

  descriptor_poll(int fd, poll_events events) noexcept : descriptor_operation(fd, events) {}
  result<poll_events> await_resume() noexcept {
    return outcome().transform([](std::uint32_t found) { return static_cast<poll_events>(found); });
  }
};

/// Reads or writes octets.
class URING6_EXPORT descriptor_octets : public descriptor_operation {
 public:
  static constexpr std::string_view wait_name = "fd::read or fd::write";

  result<std::size_t> await_resume() noexcept {
    return outcome().transform([](std::uint32_t moved) { return static_cast<std::size_t>(moved); });
  }

 protected:
  descriptor_octets(int fd, std::span<std::byte> into, std::uint64_t offset) noexcept
      : descriptor_operation(fd, kind::read, into.data(), into.size(), offset) {}
  // The kernel only reads from this memory.
  descriptor_octets(int fd, std::span<const std::byte> from, std::uint64_t offset) noexcept
      : descriptor_operation(fd, kind::write, const_cast<std::byte*>(from.data()), from.size(), offset) {}
  descriptor_octets(descriptor_octets&&) = default;
  ~descriptor_octets() = default;
};

/// A transfer at an offset of a file. Another read finds the same octets again.
class URING6_EXPORT descriptor_transfer final : public descriptor_octets {
 public:
  template <class Octet>
  descriptor_transfer(int fd, std::span<Octet> octets, std::uint64_t offset) noexcept
      : descriptor_octets(fd, octets, offset) {}
};

/// A transfer at the descriptor's position. Octets that were read are gone from a pipe, and a write cannot be undone.
class URING6_EXPORT descriptor_stream_transfer final : public descriptor_octets {
 public:
  static constexpr bool drops_when_it_loses = true;

  template <class Octet>
  descriptor_stream_transfer(int fd, std::span<Octet> octets) noexcept : descriptor_octets(fd, octets, at_position) {}

 private:
  static constexpr std::uint64_t at_position = ~std::uint64_t{0};  // off_t -1
};

}  // namespace detail

/// Operations on a descriptor that the program has opened.
namespace fd {

// Common to poll, read, read_at, write and write_at:
//
// The caller still owns the descriptor and keeps it open until the operation has ended. The descriptor may be
// blocking or non-blocking. The operation belongs to the running loop. Deadlines: `with_timeout(1s, fd::read(file,
// buffer))`.
//
// Each operation has exactly one outcome. What the kernel has done is delivered although a stop was requested
// meanwhile, because no later call could deliver it: `with_timeout` returns octets that were read in time.
//
// `when_any` drops the results of its losers, so `read` and `write` do not compile there. Let `poll` race, which
// takes nothing, and read or write when it has won; or say `discarding(fd::read(file, buffer))`. `read_at` may lose. A
// `write_at` that loses may have written. The compiler does not see through a task, a sender or Asio's `||`: octets
// that these drop are lost.
//
// A waiting coroutine that is destroyed cancels the operation and blocks until the kernel's last completion. A file
// that the kernel cannot interrupt (on a disk) is waited for.
//
// None of them has `dont_wait`: a `poll` without a wait is poll(2) itself, and RWF_NOWAIT is refused by most kinds of
// descriptors. A program that must not wait makes the descriptor non-blocking and calls read(2).
//
// Errors: the kernel's errno (EBADF, EPIPE, ...), `errc::canceled`, `errc::wrong_thread` outside of a running loop.

/// Waits until `fd` is ready for one of `events`, or broken. Returns what it is ready for. Takes nothing from the
/// descriptor. A regular file is always ready. poll(2), once.
[[nodiscard("co_await it")]] inline detail::descriptor_poll poll(int fd, poll_events events) noexcept {
  return {fd, events};
}

/// Reads at most `into.size()` bytes at the descriptor's position. Returns the number of bytes; 0 at the end. `into`
/// must live until then. The operation repeats a read that a signal interrupted (EINTR). read(2). Go: os.File.Read.
[[nodiscard("co_await it")]] inline detail::descriptor_stream_transfer read(int fd,
                                                                            std::span<std::byte> into) noexcept {
  return {fd, into};
}

/// Reads at `offset` bytes from the beginning of a file, and does not move its position. pread(2). Go:
/// os.File.ReadAt.
[[nodiscard("co_await it")]] inline detail::descriptor_transfer read_at(int fd, std::span<std::byte> into,
                                                                        std::uint64_t offset) noexcept {
  return {fd, into, offset};
}

/// Writes at most all of `from` at the descriptor's position. Returns the number of bytes that were taken: fewer
/// where a pipe or a disk is full. The caller keeps `from` unchanged until then. A pipe without a reader gives EPIPE,
/// and SIGPIPE unless the program ignores it. write(2). Go: os.File.Write.
[[nodiscard("co_await it")]] inline detail::descriptor_stream_transfer write(int fd,
                                                                             std::span<const std::byte> from) noexcept {
  return {fd, from};
}

/// Writes at `offset` bytes from the beginning of a file, and does not move its position. pwrite(2). Go:
/// os.File.WriteAt.
[[nodiscard("co_await it")]] inline detail::descriptor_transfer write_at(int fd, std::span<const std::byte> from,
                                                                         std::uint64_t offset) noexcept {
  return {fd, from, offset};
}

}  // namespace fd

// The names before they stood in `fd`.
[[deprecated("the name is fd::poll")]] inline detail::descriptor_poll poll(int fd, poll_events events) noexcept {
  return {fd, events};
}
[[deprecated("the name is fd::read")]] inline detail::descriptor_stream_transfer read(
    int fd, std::span<std::byte> into) noexcept {
  return {fd, into};
}
[[deprecated("the name is fd::read_at")]] inline detail::descriptor_transfer read_at(int fd, std::span<std::byte> into,
                                                                                     std::uint64_t offset) noexcept {
  return {fd, into, offset};
}
[[deprecated("the name is fd::write")]] inline detail::descriptor_stream_transfer write(
    int fd, std::span<const std::byte> from) noexcept {
  return {fd, from};
}
[[deprecated("the name is fd::write_at")]] inline detail::descriptor_transfer write_at(int fd,
                                                                                       std::span<const std::byte> from,
                                                                                       std::uint64_t offset) noexcept {
  return {fd, from, offset};
}

}  // namespace uring6::inline v0
