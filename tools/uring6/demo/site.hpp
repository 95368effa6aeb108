// Where on this machine multicast can be shown.
#pragma once

#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "uring6/address.hpp"
#include "uring6/interface.hpp"

namespace uring6::tool {

/// An interface that carries IPv6 multicast, and an address of it to send from.
struct multicast_site {
  interface on;
  ip_address from;
};

/// The first interface that will do. If none will: what each of them lacks.
tl::expected<multicast_site, std::string> find_multicast_site();

/// This interface, if it will do; else what it lacks.
tl::expected<multicast_site, std::string> multicast_site_on(const interface& wanted);

}  // namespace uring6::tool
