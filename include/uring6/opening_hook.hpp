// opening_hook: lets the caller set options on a socket that is being opened. Go: ListenConfig.Control,
// Dialer.Control.
#pragma once

#include <system_error>
#include <type_traits>

#include "uring6/address.hpp"

namespace uring6::inline v0 {

/// A function that the library calls with each socket before it is bound or connected, for options that
/// `packet_options` and `tcp_options` do not have (SO_MARK, TCP_MAXSEG, …). The library's own options are set before
/// the call, so the function can override them.
///
/// The function gets the descriptor, which the library still owns, and the given address: the one to bind to
/// (`listen_…`) or to connect to (`dial_…`). An error that it returns ends the opening with that error; a dial to
/// several addresses ends only the one attempt. The call is made on the loop's thread. An exception out of it ends
/// the program.
///
/// The hook refers to the callable, as std::string_view refers to text. The callable must live until the opening has
/// ended, or until the dial has been awaited. A lambda without captures lives for ever.
///
///     auto mark = [](int fd, const endpoint&) -> std::error_code {
///       const int value = 42;
///       if (::setsockopt(fd, SOL_SOCKET, SO_MARK, &value, sizeof value) == 0) return {};
///       return {errno, std::system_category()};
///     };
///     const tcp_options options{.control = mark};
///     auto peer = co_await dial_tcp(loop, "tcp6", "[2001:db8::1]:80", options);
class opening_hook {
 public:
  /// No hook.
  opening_hook() = default;

  /// A callable with a state, as an lvalue: a hook of a temporary would refer to a callable that is gone.
  template <class F>
  requires(std::is_object_v<F> && !std::is_same_v<std::remove_const_t<F>, opening_hook> &&
           std::is_invocable_r_v<std::error_code, F&, int, const endpoint&>) opening_hook(F& callable)
  noexcept  // NOLINT(google-explicit-constructor): as std::function
      : call_([](void* object, int fd, const endpoint& address) noexcept -> std::error_code {
          return (*static_cast<F*>(object))(fd, address);
        }),
        object_(const_cast<void*>(static_cast<const void*>(&callable))) {}

  /// A lambda without captures.
  template <class F>
  requires(std::is_empty_v<F>&& std::is_default_constructible_v<F> && !std::is_same_v<F, opening_hook> &&
           std::is_invocable_r_v<std::error_code, F&, int, const endpoint&>) opening_hook(F&&)
  noexcept  // NOLINT(google-explicit-constructor, bugprone-forwarding-reference-overload)
      : call_([](void*, int fd, const endpoint& address) noexcept -> std::error_code { return F()(fd, address); }) {}

  explicit operator bool() const noexcept { return call_ != nullptr; }

  /// Without a function the call succeeds.
  std::error_code operator()(int fd, const endpoint& address) const noexcept {
    return call_ ? call_(object_, fd, address) : std::error_code();
  }

 private:
  std::error_code (*call_)(void* object, int fd, const endpoint& address) noexcept = nullptr;
  void* object_ = nullptr;
};

}  // namespace uring6::inline v0
