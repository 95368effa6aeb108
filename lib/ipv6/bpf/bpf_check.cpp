// The kernel's rules for classic BPF programs (bpf_check_classic in net/core/filter.c).
#include <cassert>
#include <cstddef>
#include <vector>

#include "ipv6/bpf/bpf_opcode.hpp"
#include "uring6/bpf/program.hpp"

namespace uring6::inline v0::bpf {
namespace {

namespace o = opcode;

bool is_arithmetic(std::uint16_t op) {
  const unsigned code = op & o::operator_mask;
  if (op == (o::alu | o::neg)) return true;
  return (op & ~(o::operator_mask | o::x)) == o::alu && code <= o::bit_xor && code != o::neg;
}

bool is_conditional_jump(std::uint16_t op) {
  const unsigned code = op & o::operator_mask;
  return (op & ~(o::operator_mask | o::x)) == o::jmp && code >= o::jeq && code <= o::jset;
}

bool is_known(std::uint16_t op) {
  switch (op) {
    case o::ld | o::imm:
    case o::ld | o::mem:
    case o::ld | o::len:
    case o::ld | o::abs | o::word:
    case o::ld | o::abs | o::half:
    case o::ld | o::abs | o::byte:
    case o::ld | o::ind | o::word:
    case o::ld | o::ind | o::half:
    case o::ld | o::ind | o::byte:
    case o::ldx | o::imm:
    case o::ldx | o::mem:
    case o::ldx | o::len:
    case o::ldx | o::msh | o::byte:
    case o::st:
    case o::stx:
    case o::jmp | o::ja:
    case o::ret | o::k:
    case o::ret | o::a:
    case o::misc | o::tax:
    case o::misc | o::txa:
      return true;
    default:
      return is_arithmetic(op) || is_conditional_jump(op);
  }
}

bool is_extension(std::uint32_t offset) {
  const std::uint32_t number = offset - o::extension_base;
  return number <= static_cast<std::uint32_t>(extension::vlan_protocol) && number % 4 == 0;
}

// Checks one instruction by itself. `behind`: the number of instructions after it.
result<void> check_one(const raw_instruction& i, std::size_t behind) {
  assert(behind < max_instructions);
  if (!is_known(i.op)) return fail(errc::unknown_instruction);
  if (is_conditional_jump(i.op)) {
    if (i.jt >= behind || i.jf >= behind) return fail(errc::jump_out_of_program);
    return {};
  }
  switch (i.op) {
    case o::jmp | o::ja:
      if (i.k >= behind) return fail(errc::jump_out_of_program);
      break;
    case o::alu | o::div | o::k:
    case o::alu | o::mod | o::k:
      if (i.k == 0) return fail(errc::division_by_zero);
      break;
    case o::alu | o::lsh | o::k:
    case o::alu | o::rsh | o::k:
      if (i.k >= 32) return fail(errc::shift_out_of_range);
      break;
    case o::ld | o::mem:
    case o::ldx | o::mem:
    case o::st:
    case o::stx:
      if (i.k >= o::scratch_slots) return fail(errc::scratch_out_of_range);
      break;
    case o::ld | o::abs | o::word:
    case o::ld | o::abs | o::half:
    case o::ld | o::abs | o::byte:
      if (i.k >= o::extension_base && !is_extension(i.k)) return fail(errc::unknown_instruction);
      break;
    default:
      break;
  }
  return {};
}

// Checks that every path to a load from scratch memory has stored to that place before. Jumps lead forward only, so one
// pass suffices: a place is written before an instruction if it is written at the end of the instruction before it and
// at every jump to it.
result<void> check_scratch(std::span<const raw_instruction> instructions) {
  constexpr std::uint16_t everything = 0xffff;
  std::vector<std::uint16_t> agreed(instructions.size(), everything);
  std::uint16_t written = 0;
  const auto jump_to = [&](std::size_t target) {
    assert(target < agreed.size() && "check_one was not called before");
    agreed[target] = static_cast<std::uint16_t>(agreed[target] & written);
  };
  for (std::size_t at = 0; at < instructions.size(); ++at) {
    const raw_instruction& i = instructions[at];
    written = static_cast<std::uint16_t>(written & agreed[at]);
    if (is_conditional_jump(i.op)) {
      jump_to(at + 1 + i.jt);
      jump_to(at + 1 + i.jf);
      written = everything;
      continue;
    }
    switch (i.op) {
      case o::st:
      case o::stx:
        assert(i.k < o::scratch_slots && "check_one was not called before");
        written = static_cast<std::uint16_t>(written | 1u << i.k);
        break;
      case o::ld | o::mem:
      case o::ldx | o::mem:
        if ((written & 1u << i.k) == 0) return fail(errc::scratch_uninitialized);
        break;
      case o::jmp | o::ja:
        jump_to(at + 1 + i.k);
        written = everything;
        break;
      default:
        break;
    }
  }
  return {};
}

}  // namespace

result<void> check(std::span<const raw_instruction> instructions) {
  if (instructions.empty()) return fail(errc::empty_program);
  if (instructions.size() > max_instructions) return fail(errc::program_too_long);
  for (std::size_t at = 0; at < instructions.size(); ++at) {
    if (auto one = check_one(instructions[at], instructions.size() - at - 1); !one) return one;
  }
  const std::uint16_t last = instructions.back().op;
  if (last != (o::ret | o::k) && last != (o::ret | o::a)) return fail(errc::no_return);
  return check_scratch(instructions);
}

}  // namespace uring6::inline v0::bpf
