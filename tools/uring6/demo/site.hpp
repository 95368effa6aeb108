// The interface of this machine that the demo uses for multicast.
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

/// The first suitable interface; if there is none, the reason of each.
tl::expected<multicast_site, std::string> find_multicast_site();

/// This interface if it is suitable, else the reason.
tl::expected<multicast_site, std::string> multicast_site_on(const interface& wanted);

}  // namespace uring6::tool
