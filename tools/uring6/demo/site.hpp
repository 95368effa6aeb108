// The interface of this machine that the demo uses for multicast.
#pragma once

#include <optional>
#include <string>

#include "uring6/address.hpp"
#include "uring6/interface.hpp"

namespace uring6::tool {

/// An interface that carries IPv6 multicast, and an address of it to send from.
struct multicast_site {
  interface on {};
  ip_address from{};
};

/// The first suitable interface; if there is none, `why_not` has the reason of each.
std::optional<multicast_site> find_multicast_site(std::string& why_not);

/// This interface if it is suitable, else `why_not` has the reason.
std::optional<multicast_site> multicast_site_on(const interface& wanted, std::string& why_not);

}  // namespace uring6::tool
