#include <algorithm>
#include <optional>
#include <variant>

#include "ipv6/bpf/bpf_opcode.hpp"
#include "uring6/bpf/program.hpp"

namespace uring6::inline v0::bpf {
namespace {

width width_of(std::uint16_t op) {
  switch (op & opcode::width_mask) {
    case opcode::byte:
      return width::byte;
    case opcode::half:
      return width::half;
    default:
      return width::word;
  }
}

// The instruction that the operation code names; nothing if it names none.
using decoded = std::optional<instruction>;

decoded load_into_a(const raw_instruction& raw) {
  switch (raw.op & opcode::mode_mask) {
    case opcode::imm:
      return load_constant{reg::a, raw.k};
    case opcode::mem:
      return load_scratch{reg::a, static_cast<std::uint8_t>(raw.k)};
    case opcode::len:
      return load_extension{extension::length};
    case opcode::ind:
      return load_indirect{raw.k, width_of(raw.op)};
    case opcode::abs: {
      const load_extension named{static_cast<extension>(raw.k - opcode::extension_base)};
      if (assemble(named) == raw) return named;
      return load_absolute{raw.k, width_of(raw.op)};
    }
    default:
      return std::nullopt;
  }
}

decoded load_into_x(const raw_instruction& raw) {
  switch (raw.op & opcode::mode_mask) {
    case opcode::imm:
      return load_constant{reg::x, raw.k};
    case opcode::mem:
      return load_scratch{reg::x, static_cast<std::uint8_t>(raw.k)};
    case opcode::msh:
      return load_mem_shift{raw.k};
    default:
      return std::nullopt;
  }
}

decoded arithmetic(const raw_instruction& raw) {
  const auto code = raw.op & opcode::operator_mask;
  if (code == opcode::neg) return negate_a{};
  const auto op = static_cast<alu_op>(code);
  if ((raw.op & opcode::x) != 0) return alu_op_x{op};
  return alu_op_constant{op, raw.k};
}

decoded any_jump(const raw_instruction& raw) {
  // A jump that skips nothing when the condition holds is the opposite test (golang/go#18470).
  const bool opposite = raw.jt == 0;
  jump_test test{};
  switch (raw.op & opcode::operator_mask) {
    case opcode::ja:
      return jump{raw.k};
    case opcode::jeq:
      test = opposite ? jump_test::not_equal : jump_test::equal;
      break;
    case opcode::jgt:
      test = opposite ? jump_test::less_or_equal : jump_test::greater_than;
      break;
    case opcode::jge:
      test = opposite ? jump_test::less_than : jump_test::greater_or_equal;
      break;
    case opcode::jset:
      test = opposite ? jump_test::bits_not_set : jump_test::bits_set;
      break;
    default:
      return std::nullopt;
  }
  const std::uint8_t skip_true = opposite ? raw.jf : raw.jt;
  const std::uint8_t skip_false = opposite ? raw.jt : raw.jf;
  if ((raw.op & opcode::x) != 0) return jump_if_x{test, skip_true, skip_false};
  return jump_if{test, raw.k, skip_true, skip_false};
}

decoded decode(const raw_instruction& raw) {
  switch (raw.op & opcode::class_mask) {
    case opcode::ld:
      return load_into_a(raw);
    case opcode::ldx:
      return load_into_x(raw);
    case opcode::st:
      return store_scratch{reg::a, static_cast<std::uint8_t>(raw.k)};
    case opcode::stx:
      return store_scratch{reg::x, static_cast<std::uint8_t>(raw.k)};
    case opcode::alu:
      return arithmetic(raw);
    case opcode::jmp:
      return any_jump(raw);
    case opcode::ret:
      if ((raw.op & opcode::a) != 0) return ret_a{};
      return ret_constant{raw.k};
    default:
      if ((raw.op & opcode::txa) != 0) return txa{};
      return tax{};
  }
}

}  // namespace

instruction disassemble(const raw_instruction& raw) noexcept {
  // Assembles the result again: if that differs from `raw`, one of the bits that `decode` ignores is set. So no two raw
  // instructions have the same typed one.
  const decoded typed = decode(raw);
  if (typed && assemble(*typed) == raw) return *typed;
  return raw;
}

disassembly disassemble(std::span<const raw_instruction> instructions) {
  disassembly decoded;
  decoded.instructions.reserve(instructions.size());
  for (const raw_instruction& raw : instructions) decoded.instructions.push_back(disassemble(raw));
  decoded.all_decoded = std::ranges::none_of(
      decoded.instructions, [](const instruction& one) { return std::holds_alternative<raw_instruction>(one); });
  return decoded;
}

}  // namespace uring6::inline v0::bpf
