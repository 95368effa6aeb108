#include "support/machine/veth_pair.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"

namespace uring6::test {
namespace {

ip_address documentation_address(std::uint8_t last) {
  return ip_address({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last});
}

// The link-local address appears some time after both ends are up.
bool ready(veth_end& end) {
  end.link = or_throw(interface::by_index(end.link.index));
  const std::vector<interface_address> addresses = or_throw(end.link.addresses());
  const auto found = std::ranges::find_if(addresses, [](const interface_address& a) {
    return a.address.is_link_local() && !a.is(address_flags::tentative);
  });
  if (found == addresses.end() || !end.link.is(interface_flags::running)) return false;
  end.link_local = found->address;
  return true;
}

void bring_up(veth_end& end, const char* name, const ip_address& address) {
  const auto inside = end.space.enter();
  end.link = or_throw(interface::by_name(name));
  end.address = address;
  set_link(end.link.index, link_state::up);
  add_address(end.link.index, address, 64);
}

}  // namespace

veth_pair::veth_pair(const char* near_name, const char* far_name) {
  try {
    near.space.run([&] { create_veth(near_name, far.space, far_name); });
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::operation_not_supported) throw;
    SKIP("this kernel has no veth pairs (modprobe veth): " << error.what());
  }
  bring_up(near, near_name, documentation_address(1));
  bring_up(far, far_name, documentation_address(2));
  for (veth_end* end : {&near, &far}) {
    const auto inside = end->space.enter();
    if (!eventually([end] { return ready(*end); })) throw std::runtime_error("the veth pair does not come up");
  }
}

}  // namespace uring6::test
