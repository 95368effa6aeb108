// Which driver a loop asks for: its option, or the environment's where the option leaves it open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ipv6/value/names.hpp"
#include "uring6/loop_driver.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

inline constexpr named<loop_driver> driver_names[] = {
    {loop_driver::automatic, "automatic"},
    {loop_driver::io_uring, "io_uring"},
    {loop_driver::readiness, "readiness"},
};

struct driver_choice {
  loop_driver driver = loop_driver::automatic;
  std::optional<std::uint64_t> seed{};  // with `readiness`: the schedule that a seeded_driver follows
};

/// The option; for `automatic` the driver that the environment variable URING6_DRIVER names, if it is set and not
/// empty: a name, or `seed:` and a decimal number for the driver with a seed. invalid_argument, and `reason` is a
/// sentence for a user, for an unknown name or option, for a seed that is none, and for a seed beside an option that
/// leaves nothing open: a run that is not that of the seed must not seem to be. Any thread. getenv(3)
result<driver_choice> driver_asked_for(loop_driver option, std::string& reason);

}  // namespace uring6::inline v0::detail
