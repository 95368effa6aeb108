// Functions that take a stop token: stop_token, or the standard's.
#pragma once

#include <type_traits>
#include <utility>

#include "uring6/stop_token.hpp"

namespace uring6::inline v0::detail {

template <class F>
inline constexpr bool takes_own_token = std::is_invocable_v<F, stop_token>;
#if URING6_STD_STOP_TOKEN
template <class F>
inline constexpr bool takes_std_token = !takes_own_token<F> && std::is_invocable_v<F, std::stop_token>;
#else
template <class F>
inline constexpr bool takes_std_token = false;
#endif

template <class F>
concept takes_stop_token = takes_own_token<F> || takes_std_token<F>;

/// The source whose token the function takes, and the argument that follows a token of the caller.
template <class F>
struct token_traits {
  using source = stop_source;
  using token = stop_token;
};
#if URING6_STD_STOP_TOKEN
template <class F>
requires takes_std_token<F>
struct token_traits<F> {
  using source = std::stop_source;
  using token = std::stop_token;
};
#endif
template <class F>
using source_of_token = typename token_traits<F>::source;
template <class F>
using token_argument = typename token_traits<F>::token;

/// The argument for a function that takes a token, while this object lives.
template <class F>
class stop_argument {
 public:
  explicit stop_argument(stop_token token) noexcept : token_(std::move(token)) {}
  stop_token token() const noexcept { return token_; }

 private:
  stop_token token_;
};
#if URING6_STD_STOP_TOKEN
template <class F>
requires takes_std_token<F>
class stop_argument<F> {
 public:
  /// Throws std::bad_alloc.
  explicit stop_argument(const stop_token& token) : link_(token, relay{&source_}) {}
  std::stop_token token() const noexcept { return source_.get_token(); }

 private:
  struct relay {
    std::stop_source* to;
    void operator()() const noexcept { to->request_stop(); }
  };

  std::stop_source source_;
  stop_callback<relay> link_;
};
#endif

}  // namespace uring6::inline v0::detail
