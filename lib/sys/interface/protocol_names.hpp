// The system's own names of protocols (/etc/protocols).
#pragma once

#include <optional>
#include <string_view>

#include "uring6/protocol.hpp"

namespace uring6 {

/// The protocol of this name or alias, as the network words of raw conns take it: the names that `to_string` gives
/// first, those of /etc/protocols second. Nothing if nobody knows it. getprotobyname_r
std::optional<ip_protocol> find_protocol(std::string_view name);

}  // namespace uring6
