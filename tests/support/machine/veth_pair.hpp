// Two hosts and the cable between them.
#pragma once

#include <cstdint>
#include <string>

#include "support/machine/network_namespace.hpp"
#include "uring6/address.hpp"
#include "uring6/interface.hpp"

namespace uring6::test {

/// One end: a namespace of its own with a veth device that is up, running and has usable addresses.
struct veth_end {
  network_namespace space;
  interface link;
  ip_address address;     ///< 2001:db8::1/64 near, 2001:db8::2/64 far.
  ip_address link_local;  ///< In the device's zone.
};

/// Two namespaces joined by a cable: what `near` sends to `far.address`, or to a group, arrives there. Both
/// devices can do multicast. Skips the test where namespaces are not permitted.
class veth_pair {
 public:
  explicit veth_pair(const char* near_name = "near0", const char* far_name = "far0");

  veth_end near;
  veth_end far;
};

}  // namespace uring6::test
