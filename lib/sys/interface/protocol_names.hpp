// The system's own names of protocols (/etc/protocols).
#pragma once

#include <optional>
#include <string_view>

#include "uring6/protocol.hpp"

namespace uring6::inline v0 {

/// The protocol of this name or alias, for the network words of raw conns. Searches the names that `to_string` returns,
/// then /etc/protocols. Nothing if neither has the name. getprotobyname_r
std::optional<ip_protocol> find_protocol(std::string_view name);

}  // namespace uring6::inline v0
