// The instructions of classic BPF, one type each, and the raw form that the kernel takes.
//
// The machine has two 32-bit registers, A (the accumulator) and X (the index), sixteen 32-bit scratch slots and the
// packet. A load beyond the end of the packet ends the program with 0, which drops the packet.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <variant>
#include <vector>

#include "uring6/detail/hash.hpp"

namespace uring6::inline v0::bpf {

/// A register. Go: Register (`register` is a keyword of C++).
enum class reg : std::uint8_t { a, x };

/// The number of bytes that a load reads from the packet, in network byte order. Go: the number 1, 2 or 4.
enum class width : std::uint8_t { byte = 1, half = 2, word = 4 };

/// An arithmetic or logic operation. Go: ALUOp. Its value is the operator field of the operation code.
enum class alu_op : std::uint8_t {
  add = 0x00,
  sub = 0x10,
  mul = 0x20,
  div = 0x30,
  bit_or = 0x40,
  bit_and = 0x50,
  shift_left = 0x60,
  shift_right = 0x70,
  mod = 0x90,
  bit_xor = 0xa0,
};

/// A comparison of A with the operand of a conditional jump. Go: JumpTest. The machine has four of them; the
/// assembler makes the other four by exchanging the two targets.
enum class jump_test : std::uint8_t {
  equal,
  not_equal,
  greater_than,
  less_than,
  greater_or_equal,
  less_or_equal,
  bits_set,      ///< (A & operand) != 0
  bits_not_set,  ///< (A & operand) == 0
};

/// A value about the packet that only the kernel has. Go: Extension. (SKF_AD_*)
enum class extension : std::uint8_t {
  protocol = 0,              ///< EtherType, host order.
  length = 1,                ///< Octets of the packet: `ld #len`, a separate instruction of the machine.
  type = 4,                  ///< PACKET_HOST, PACKET_MULTICAST, ...
  interface_index = 8,       ///< Index of the interface by which the packet arrived.
  netlink_attr = 12,         ///< Netlink attribute of type X at offset A.
  netlink_attr_nested = 16,  ///< Nested netlink attribute of type X at offset A.
  mark = 20,                 ///< SO_MARK of the packet.
  queue = 24,                ///< Receive queue of the device.
  link_layer_type = 28,      ///< ARPHRD_* of the device.
  rx_hash = 32,              ///< Flow hash.
  cpu_id = 36,               ///< CPU that handles the packet; a reuseport group steers by it.
  vlan_tag = 44,
  vlan_tag_present = 48,
  payload_offset = 52,  ///< Offset of the first header that the kernel does not dissect.
  random = 56,
  vlan_protocol = 60,
};

/// An instruction as the kernel takes it: the layout of `struct sock_filter`. Go: RawInstruction.
struct raw_instruction {
  std::uint16_t op = 0;  ///< Operation code.
  std::uint8_t jt = 0;   ///< Instructions to skip if the condition holds.
  std::uint8_t jf = 0;   ///< Instructions to skip if it does not.
  std::uint32_t k = 0;   ///< Constant operand.

  friend bool operator==(const raw_instruction&, const raw_instruction&) = default;
};

/// dst = value
struct load_constant {
  reg dst = reg::a;
  std::uint32_t value = 0;

  friend bool operator==(const load_constant&, const load_constant&) = default;
};

/// dst = scratch[slot], slot 0..15
struct load_scratch {
  reg dst = reg::a;
  std::uint8_t slot = 0;

  friend bool operator==(const load_scratch&, const load_scratch&) = default;
};

/// A = packet[offset, offset + size)
struct load_absolute {
  std::uint32_t offset = 0;
  width size = width::word;

  friend bool operator==(const load_absolute&, const load_absolute&) = default;
};

/// A = packet[X + offset, X + offset + size); the sum wraps at 32 bits, as in the kernel.
struct load_indirect {
  std::uint32_t offset = 0;
  width size = width::word;

  friend bool operator==(const load_indirect&, const load_indirect&) = default;
};

/// X = 4 * (packet[offset] & 15): the length of an IPv4 header, in one instruction.
struct load_mem_shift {
  std::uint32_t offset = 0;

  friend bool operator==(const load_mem_shift&, const load_mem_shift&) = default;
};

/// A = the extension's value
struct load_extension {
  extension num = extension::length;

  friend bool operator==(const load_extension&, const load_extension&) = default;
};

/// scratch[slot] = src, slot 0..15
struct store_scratch {
  reg src = reg::a;
  std::uint8_t slot = 0;

  friend bool operator==(const store_scratch&, const store_scratch&) = default;
};

/// A = A op value
struct alu_op_constant {
  alu_op op = alu_op::add;
  std::uint32_t value = 0;

  friend bool operator==(const alu_op_constant&, const alu_op_constant&) = default;
};

/// A = A op X. Division by an X of 0 ends the program with 0; shifts count modulo 32, as in the kernel.
struct alu_op_x {
  alu_op op = alu_op::add;

  friend bool operator==(const alu_op_x&, const alu_op_x&) = default;
};

/// A = -A
struct negate_a {
  friend bool operator==(const negate_a&, const negate_a&) = default;
};

/// Skips that many instructions.
struct jump {
  std::uint32_t skip = 0;

  friend bool operator==(const jump&, const jump&) = default;
};

/// Compares A with `value` and skips the instructions of that outcome.
struct jump_if {
  jump_test test = jump_test::equal;
  std::uint32_t value = 0;
  std::uint8_t skip_true = 0;
  std::uint8_t skip_false = 0;

  friend bool operator==(const jump_if&, const jump_if&) = default;
};

/// Compares A with X and skips the instructions of that outcome.
struct jump_if_x {
  jump_test test = jump_test::equal;
  std::uint8_t skip_true = 0;
  std::uint8_t skip_false = 0;

  friend bool operator==(const jump_if_x&, const jump_if_x&) = default;
};

/// Ends the program. The kernel keeps the first A bytes of the packet; 0 drops it.
struct ret_a {
  friend bool operator==(const ret_a&, const ret_a&) = default;
};

/// Ends the program. The kernel keeps the first `value` bytes of the packet; 0 drops it.
struct ret_constant {
  std::uint32_t value = 0;

  friend bool operator==(const ret_constant&, const ret_constant&) = default;
};

/// A = X
struct txa {
  friend bool operator==(const txa&, const txa&) = default;
};

/// X = A
struct tax {
  friend bool operator==(const tax&, const tax&) = default;
};

/// One instruction. A raw_instruction is for an instruction that has no type here (`ldx #len`). Go: Instruction.
using instruction = std::variant<load_constant, load_scratch, load_absolute, load_indirect, load_mem_shift,
                                 load_extension, store_scratch, alu_op_constant, alu_op_x, negate_a, jump, jump_if,
                                 jump_if_x, ret_a, ret_constant, txa, tax, raw_instruction>;

/// A program, in the order of its instructions. It ends in a return.
using program = std::vector<instruction>;

/// A program as the kernel takes it (`struct sock_fprog`).
using raw_program = std::vector<raw_instruction>;

}  // namespace uring6::inline v0::bpf

namespace uring6::inline v0 {

namespace detail {

inline std::size_t hash_fields(const bpf::load_constant& of) noexcept {
  return hash_of(of.dst, of.value);
}
inline std::size_t hash_fields(const bpf::load_scratch& of) noexcept {
  return hash_of(of.dst, of.slot);
}
inline std::size_t hash_fields(const bpf::load_absolute& of) noexcept {
  return hash_of(of.offset, of.size);
}
inline std::size_t hash_fields(const bpf::load_indirect& of) noexcept {
  return hash_of(of.offset, of.size);
}
inline std::size_t hash_fields(const bpf::load_mem_shift& of) noexcept {
  return hash_of(of.offset);
}
inline std::size_t hash_fields(const bpf::load_extension& of) noexcept {
  return hash_of(of.num);
}
inline std::size_t hash_fields(const bpf::store_scratch& of) noexcept {
  return hash_of(of.src, of.slot);
}
inline std::size_t hash_fields(const bpf::alu_op_constant& of) noexcept {
  return hash_of(of.op, of.value);
}
inline std::size_t hash_fields(const bpf::alu_op_x& of) noexcept {
  return hash_of(of.op);
}
inline std::size_t hash_fields(const bpf::negate_a&) noexcept {
  return 0;
}
inline std::size_t hash_fields(const bpf::jump& of) noexcept {
  return hash_of(of.skip);
}
inline std::size_t hash_fields(const bpf::jump_if& of) noexcept {
  return hash_of(of.test, of.value, of.skip_true, of.skip_false);
}
inline std::size_t hash_fields(const bpf::jump_if_x& of) noexcept {
  return hash_of(of.test, of.skip_true, of.skip_false);
}
inline std::size_t hash_fields(const bpf::ret_a&) noexcept {
  return 0;
}
inline std::size_t hash_fields(const bpf::ret_constant& of) noexcept {
  return hash_of(of.value);
}
inline std::size_t hash_fields(const bpf::txa&) noexcept {
  return 0;
}
inline std::size_t hash_fields(const bpf::tax&) noexcept {
  return 0;
}
inline std::size_t hash_fields(const bpf::raw_instruction& of) noexcept {
  return hash_of(of.op, of.jt, of.jf, of.k);
}

template <class T, class Instruction = bpf::instruction>
inline constexpr bool is_instruction = false;
template <class T, class... Alternatives>
inline constexpr bool is_instruction<T, std::variant<Alternatives...>> = (std::is_same_v<T, Alternatives> || ...);

}  // namespace detail

}  // namespace uring6::inline v0

/// Of each type of instruction, and so of `uring6::bpf::instruction`, too.
template <class T>
  requires uring6::detail::is_instruction<T>
struct std::hash<T> {
  std::size_t operator()(const T& of) const noexcept { return uring6::detail::hash_fields(of); }
};
