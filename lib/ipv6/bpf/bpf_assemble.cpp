#include <linux/filter.h>

#include <cstddef>
#include <variant>

#include "ipv6/bpf/bpf_opcode.hpp"
#include "uring6/bpf/program.hpp"

namespace uring6::inline v0::bpf {

static_assert(sizeof(raw_instruction) == sizeof(sock_filter) && alignof(raw_instruction) == alignof(sock_filter));
static_assert(offsetof(raw_instruction, op) == offsetof(sock_filter, code));
static_assert(offsetof(raw_instruction, jt) == offsetof(sock_filter, jt));
static_assert(offsetof(raw_instruction, jf) == offsetof(sock_filter, jf));
static_assert(offsetof(raw_instruction, k) == offsetof(sock_filter, k));
static_assert(max_instructions == BPF_MAXINSNS);

namespace {

constexpr std::uint16_t operation(unsigned bits) {
  return static_cast<std::uint16_t>(bits);
}

bool exists(reg r) {
  return r == reg::a || r == reg::x;
}

bool exists(alu_op op) {
  const auto code = static_cast<unsigned>(op);
  return (code & ~unsigned{opcode::operator_mask}) == 0 && code <= opcode::bit_xor && code != opcode::neg;
}

bool exists(extension e) {
  switch (e) {
    case extension::protocol:
    case extension::length:
    case extension::type:
    case extension::interface_index:
    case extension::netlink_attr:
    case extension::netlink_attr_nested:
    case extension::mark:
    case extension::queue:
    case extension::link_layer_type:
    case extension::rx_hash:
    case extension::cpu_id:
    case extension::vlan_tag:
    case extension::vlan_tag_present:
    case extension::payload_offset:
    case extension::random:
    case extension::vlan_protocol:
      return true;
  }
  return false;
}

result<unsigned> width_bits(width size) {
  switch (size) {
    case width::byte:
      return opcode::byte;
    case width::half:
      return opcode::half;
    case width::word:
      return opcode::word;
  }
  return fail(errc::bad_operand);
}

result<raw_instruction> packet_load(unsigned mode, width size, std::uint32_t offset) {
  const auto bits = width_bits(size);
  if (!bits) return fail(bits.error());
  return raw_instruction{.op = operation(opcode::ld | mode | *bits), .k = offset};
}

result<raw_instruction> scratch(unsigned for_a, unsigned for_x, reg which, std::uint8_t slot) {
  if (!exists(which)) return fail(errc::bad_operand);
  if (slot >= opcode::scratch_slots) return fail(errc::scratch_out_of_range);
  return raw_instruction{.op = operation(which == reg::a ? for_a : for_x), .k = slot};
}

result<raw_instruction> conditional(jump_test test, unsigned operand, std::uint32_t k, std::uint8_t skip_true,
                                    std::uint8_t skip_false) {
  const auto straight = [&](unsigned jump) {
    return raw_instruction{operation(opcode::jmp | operand | jump), skip_true, skip_false, k};
  };
  const auto exchanged = [&](unsigned jump) {
    return raw_instruction{operation(opcode::jmp | operand | jump), skip_false, skip_true, k};
  };
  switch (test) {
    case jump_test::equal:
      return straight(opcode::jeq);
    case jump_test::not_equal:
      return exchanged(opcode::jeq);
    case jump_test::greater_than:
      return straight(opcode::jgt);
    case jump_test::less_or_equal:
      return exchanged(opcode::jgt);
    case jump_test::greater_or_equal:
      return straight(opcode::jge);
    case jump_test::less_than:
      return exchanged(opcode::jge);
    case jump_test::bits_set:
      return straight(opcode::jset);
    case jump_test::bits_not_set:
      return exchanged(opcode::jset);
  }
  return fail(errc::bad_operand);
}

struct assembler {
  using outcome = result<raw_instruction>;

  outcome operator()(const load_constant& i) const {
    if (!exists(i.dst)) return fail(errc::bad_operand);
    return raw_instruction{.op = operation((i.dst == reg::a ? opcode::ld : opcode::ldx) | opcode::imm), .k = i.value};
  }
  outcome operator()(const load_scratch& i) const {
    return scratch(opcode::ld | opcode::mem, opcode::ldx | opcode::mem, i.dst, i.slot);
  }
  outcome operator()(const load_absolute& i) const { return packet_load(opcode::abs, i.size, i.offset); }
  outcome operator()(const load_indirect& i) const { return packet_load(opcode::ind, i.size, i.offset); }
  outcome operator()(const load_mem_shift& i) const {
    return raw_instruction{.op = operation(opcode::ldx | opcode::msh | opcode::byte), .k = i.offset};
  }
  outcome operator()(const load_extension& i) const {
    if (!exists(i.num)) return fail(errc::bad_operand);
    if (i.num == extension::length) return raw_instruction{.op = operation(opcode::ld | opcode::len)};
    return raw_instruction{.op = operation(opcode::ld | opcode::abs),
                           .k = opcode::extension_base + static_cast<std::uint32_t>(i.num)};
  }
  outcome operator()(const store_scratch& i) const { return scratch(opcode::st, opcode::stx, i.src, i.slot); }
  outcome operator()(const alu_op_constant& i) const {
    if (!exists(i.op)) return fail(errc::bad_operand);
    return raw_instruction{.op = operation(opcode::alu | opcode::k | static_cast<unsigned>(i.op)), .k = i.value};
  }
  outcome operator()(const alu_op_x& i) const {
    if (!exists(i.op)) return fail(errc::bad_operand);
    return raw_instruction{.op = operation(opcode::alu | opcode::x | static_cast<unsigned>(i.op))};
  }
  outcome operator()(const negate_a&) const { return raw_instruction{.op = operation(opcode::alu | opcode::neg)}; }
  outcome operator()(const jump& i) const {
    return raw_instruction{.op = operation(opcode::jmp | opcode::ja), .k = i.skip};
  }
  outcome operator()(const jump_if& i) const {
    return conditional(i.test, opcode::k, i.value, i.skip_true, i.skip_false);
  }
  outcome operator()(const jump_if_x& i) const { return conditional(i.test, opcode::x, 0, i.skip_true, i.skip_false); }
  outcome operator()(const ret_a&) const { return raw_instruction{.op = operation(opcode::ret | opcode::a)}; }
  outcome operator()(const ret_constant& i) const {
    return raw_instruction{.op = operation(opcode::ret | opcode::k), .k = i.value};
  }
  outcome operator()(const txa&) const { return raw_instruction{.op = operation(opcode::misc | opcode::txa)}; }
  outcome operator()(const tax&) const { return raw_instruction{.op = operation(opcode::misc | opcode::tax)}; }
  outcome operator()(const raw_instruction& i) const { return i; }
};

}  // namespace

result<raw_instruction> assemble(const instruction& one) {
  return std::visit(assembler{}, one);
}

result<raw_program> assemble(std::span<const instruction> instructions) {
  if (instructions.empty()) return fail(errc::empty_program);
  if (instructions.size() > max_instructions) return fail(errc::program_too_long);
  raw_program assembled;
  assembled.reserve(instructions.size());
  for (const instruction& one : instructions) {
    const auto raw = assemble(one);
    if (!raw) return fail(raw.error());
    assembled.push_back(*raw);
  }
  return assembled;
}

}  // namespace uring6::inline v0::bpf
