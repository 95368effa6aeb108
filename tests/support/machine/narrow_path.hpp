// A path whose narrowest link is not the first one.
#pragma once

#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>

#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/address.hpp"

namespace uring6::test {

/// A near host, and a far host that routes to a network behind it over a narrow link (MTU 1280).
struct narrow_path {
  veth_pair cable;
  network_namespace behind;
  ip_address beyond = or_throw(ip_address::parse("2001:db8:1::2"));

  narrow_path() {
    cable.far.space.run([&] {
      write_sysctl("net/ipv6/conf/all/forwarding", "1");
      create_veth("narrow", behind, "end", 77);
      set_link(77, link_state::up);
      add_address(77, or_throw(ip_address::parse("2001:db8:1::1")), 64);
      write_sysctl("net/ipv6/conf/narrow/mtu", "1280");
      const bool routes = eventually([&] {
        const file_descriptor probe = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
        return connect_socket(probe.get(), {beyond, 9}).has_value();
      });
      REQUIRE(routes);
    });
    cable.near.space.run([&] { add_route(cable.near.link.index, beyond, 64, cable.far.address); });
  }
};

}  // namespace uring6::test
