// The door to the ring: io_uring operations of the program's own. Opt-in: it needs the headers of liburing.
#pragma once

#include "uring6/version.hpp"

#include <liburing.h>

#include <cassert>
#include <concepts>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "uring6/descriptor.hpp"
#include "uring6/result.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

namespace detail {

template <class Prepare>
class submit_operation final : public descriptor_operation {
 public:
  static constexpr std::string_view wait_name = "submit";

  static constexpr bool drops_when_it_loses = true;

  explicit submit_operation(Prepare prepare) noexcept : prepare_(std::move(prepare)) {}
  result<std::uint32_t> await_resume() noexcept { return outcome(); }

 private:
  void prepare(io_uring_sqe& entry) noexcept override {
    io_uring_prep_nop(&entry);  // the entry holds an earlier operation
    std::invoke(prepare_, entry);
    constexpr unsigned of_several =
        IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_IO_DRAIN | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    assert((entry.flags & of_several) == 0 && "an operation that is not alone, or takes a buffer of the ring");
    entry.flags &= static_cast<std::uint8_t>(~of_several);
  }

  Prepare prepare_;
};

}  // namespace detail

/// Submits an operation of the program's own to the loop's ring: `prepare(entry)` fills the entry by one of liburing's
/// `io_uring_prep_*` functions; user data and the order of submissions belong to the loop. It is called once, when the
/// loop next enters the kernel.
///
///     const auto fd = co_await submit([&](io_uring_sqe& entry) {
///       io_uring_prep_openat(&entry, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
///     });
///
/// Any operation with exactly one completion: openat, statx, fsync, splice, futex_wait, … Not: multishot, zero-copy
/// sends; links, IOSQE_IO_DRAIN, buffers of the ring, IOSQE_CQE_SKIP_SUCCESS (asserted; a release ignores these flags).
///
/// Memory that the entry names must live until the operation has ended. A waiting coroutine that is destroyed cancels
/// the operation and blocks until its completion, as that of `write(fd, …)`. An operation that the kernel cannot cancel
/// is waited for.
///
/// `prepare` must not throw, and needs a trivial destructor: g++ 12 destroys other closures twice (docs/gcc12.md).
///
/// Returns the kernel's result: a descriptor, a number of octets, 0. Errors: the kernel's errno as it is, EINTR and
/// EAGAIN too, EINVAL for an operation that the kernel does not know; `errc::canceled`; `errc::wrong_thread` outside of
/// a running loop. After a stop it does nothing: close descriptors by close(2). What the kernel has done is delivered
/// although a stop was requested meanwhile; in a `when_any` write `discarding(submit(…))`, and know that a descriptor
/// that loses stays open. io_uring_enter(2)
template <class Prepare>
requires std::invocable<Prepare&, io_uring_sqe&>
[[nodiscard("co_await it")]] detail::submit_operation<Prepare> submit(Prepare prepare) noexcept {
  static_assert(std::is_trivially_destructible_v<Prepare>, "capture references, pointers and numbers only");
  return detail::submit_operation<Prepare>(std::move(prepare));
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
