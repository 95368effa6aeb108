// ICMPv6: types, the socket's filter, and every message of RFC 4443, 4861, 2710, 3810 and 8335, read and
// written without an allocation.
//
// A message owns nothing: its spans and lists refer to the caller's octets, or to the packet that was parsed, which
// must live as long as the message is used. A temporary vector given to a span is gone at the end of the expression.
//
// The counterpart of golang.org/x/net/icmp and of ipv6.ICMPType and ipv6.ICMPFilter. Start at
// icmp/message.hpp.
#pragma once

#include "uring6/version.hpp"

#include "uring6/icmp/echo.hpp"
#include "uring6/icmp/error_message.hpp"
#include "uring6/icmp/extension.hpp"
#include "uring6/icmp/filter.hpp"
#include "uring6/icmp/message.hpp"
#include "uring6/icmp/multicast_listener.hpp"
#include "uring6/icmp/neighbor_discovery.hpp"
#include "uring6/icmp/option.hpp"
#include "uring6/icmp/type.hpp"
