// Whether a type is a result<T>.
#pragma once

#include "uring6/result.hpp"

namespace uring6::detail {

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

}  // namespace uring6::detail
