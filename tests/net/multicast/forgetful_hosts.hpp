// A sender, and a listener on an interface that forgets its groups.
#pragma once

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string_view>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/interface.hpp"

namespace uring6::test {

inline constexpr std::uint16_t forgetful_port = 7777;

/// A sender at the near end, and a listener at the far end on an interface that loses IPv6 and gets it back.
struct forgetful_hosts {
  veth_pair cable;
  event_loop loop;
  packet_conn sender = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
  packet_conn at = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:7777")); });
  interface link = cable.far.link;
  std::array<std::byte, 64> buffer{};

  [[nodiscard]] bool has(const ip_address& group) const {
    return cable.far.space.run([&] {
      const auto groups = or_throw(interface::all_groups());
      return std::ranges::any_of(groups, [&](const group_membership& each) {
        return each.interface_index == link.index && each.group == group;
      });
    });
  }

  /// Calls the join in the namespace of the conn, as a program does.
  template <class Join>
  result<void> in_far(Join join) {
    return cable.far.space.run(join);
  }

  void wait_until_both_run() {
    const auto runs = [](const veth_end& end, std::uint32_t index) {
      return end.space.run([&] { return is_operational(index); });
    };
    REQUIRE(eventually([&] { return runs(cable.near, cable.near.link.index) && runs(cable.far, link.index); }));
  }

  task<> send(const ip_address& group, std::string_view text, const ip_address& source) {
    control_message control;
    control.interface_index = cable.near.link.index;
    if (source.is_unicast()) control.source = source;
    const auto sent = co_await sender.write_to(as_payload(text), control, {group, forgetful_port});
    REQUIRE(sent);
  }

  task<> expect(std::string_view text) {
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == text);
  }

  void shrink_and_grow() {
    cable.far.space.run([&] {
      set_mtu(link.index, 1279);
      set_mtu(link.index, 1500);
    });
    wait_until_both_run();
  }

  /// Deleting the far end deletes the near one: that one gets its addresses again.
  void delete_and_create() {
    cable.far.space.run([&] {
      delete_link(link.index);
      create_veth(link.name, cable.near.space, cable.near.link.name, link.index);
      set_link(link.index, link_state::up);
    });
    cable.near.space.run([&] {
      cable.near.link = or_throw(interface::by_name(cable.near.link.name));
      set_link(cable.near.link.index, link_state::up);
      add_address(cable.near.link.index, cable.near.address, 64);
    });
    wait_until_both_run();
  }

  void move_and_return() {
    const network_namespace elsewhere;
    cable.far.space.run([&] { move_link(link.index, elsewhere); });
    elsewhere.run([&] { move_link(or_throw(interface::by_name(link.name)).index, cable.far.space); });
    const interface back = cable.far.space.run([&] { return or_throw(interface::by_name(link.name)); });
    REQUIRE(back.index == link.index);
    cable.far.space.run([&] { set_link(link.index, link_state::up); });
    wait_until_both_run();
  }
};

}  // namespace uring6::test
