// Which driver a loop asks for: its option, or the environment's where the option leaves it open.
#pragma once

#include <string>

#include "ipv6/value/names.hpp"
#include "uring6/loop_driver.hpp"
#include "uring6/result.hpp"

namespace uring6::detail {

inline constexpr named<loop_driver> driver_names[] = {
    {loop_driver::automatic, "automatic"},
    {loop_driver::io_uring, "io_uring"},
    {loop_driver::readiness, "readiness"},
};

/// The option; for `automatic` the driver that the environment variable URING6_DRIVER names, if it is set and not
/// empty. An unknown name or option: invalid_argument, and `reason` is a sentence for a user. Any thread. getenv(3)
result<loop_driver> driver_asked_for(loop_driver option, std::string& reason);

}  // namespace uring6::detail
