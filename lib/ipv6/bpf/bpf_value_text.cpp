#include <fmt/format.h>

#include "ipv6/value/names.hpp"
#include "uring6/bpf/error.hpp"
#include "uring6/bpf/instruction.hpp"
#include "uring6/bpf/vm.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0::bpf {

std::string to_string(reg value) {
  static constexpr detail::named<reg> names[] = {
      {reg::a, "a"},
      {reg::x, "x"},
  };
  return detail::name_of<reg>(value, names);
}

std::string to_string(width value) {
  static constexpr detail::named<width> names[] = {
      {width::byte, "byte"},
      {width::half, "half"},
      {width::word, "word"},
  };
  return detail::name_of<width>(value, names);
}

std::string to_string(alu_op value) {
  static constexpr detail::named<alu_op> names[] = {
      {alu_op::add, "add"},
      {alu_op::sub, "sub"},
      {alu_op::mul, "mul"},
      {alu_op::div, "div"},
      {alu_op::bit_or, "bit_or"},
      {alu_op::bit_and, "bit_and"},
      {alu_op::shift_left, "shift_left"},
      {alu_op::shift_right, "shift_right"},
      {alu_op::mod, "mod"},
      {alu_op::bit_xor, "bit_xor"},
  };
  return detail::name_of<alu_op>(value, names);
}

std::string to_string(jump_test value) {
  static constexpr detail::named<jump_test> names[] = {
      {jump_test::equal, "equal"},
      {jump_test::not_equal, "not_equal"},
      {jump_test::greater_than, "greater_than"},
      {jump_test::less_than, "less_than"},
      {jump_test::greater_or_equal, "greater_or_equal"},
      {jump_test::less_or_equal, "less_or_equal"},
      {jump_test::bits_set, "bits_set"},
      {jump_test::bits_not_set, "bits_not_set"},
  };
  return detail::name_of<jump_test>(value, names);
}

std::string to_string(extension value) {
  static constexpr detail::named<extension> names[] = {
      {extension::protocol, "protocol"},
      {extension::length, "length"},
      {extension::type, "type"},
      {extension::interface_index, "interface_index"},
      {extension::netlink_attr, "netlink_attr"},
      {extension::netlink_attr_nested, "netlink_attr_nested"},
      {extension::mark, "mark"},
      {extension::queue, "queue"},
      {extension::link_layer_type, "link_layer_type"},
      {extension::rx_hash, "rx_hash"},
      {extension::cpu_id, "cpu_id"},
      {extension::vlan_tag, "vlan_tag"},
      {extension::vlan_tag_present, "vlan_tag_present"},
      {extension::payload_offset, "payload_offset"},
      {extension::random, "random"},
      {extension::vlan_protocol, "vlan_protocol"},
  };
  return detail::name_of<extension>(value, names);
}

std::string to_string(const packet_metadata& of) {
  std::string text = fmt::format(
      "protocol={:#x} type={} ifindex={} mark={:#x} queue={} hatype={} rxhash={:#x} cpu={} payload={} random={:#x}",
      of.protocol, of.type, of.interface_index, of.mark, of.queue, of.link_layer_type, of.rx_hash, of.cpu_id,
      of.payload_offset, of.random);
  if (of.vlan_tag_present) text += fmt::format(" vlan={:#x} vlan_protocol={:#x}", of.vlan_tag, of.vlan_protocol);
  return text;
}

std::string to_string(errc code) {
  return make_error_code(code).message();
}

}  // namespace uring6::inline v0::bpf
