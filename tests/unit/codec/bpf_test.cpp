#include "uring6/bpf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "uring6/bpf/format.hpp"

namespace bpf = uring6::bpf;
using bpf::alu_op;
using bpf::extension;
using bpf::jump_test;
using bpf::reg;
using bpf::width;

namespace {

constexpr std::array<std::byte, 8> packet{std::byte{0x46}, std::byte{1}, std::byte{2}, std::byte{3},
                                          std::byte{0xf4}, std::byte{5}, std::byte{6}, std::byte{7}};

std::uint32_t run(const bpf::program& program, std::span<const std::byte> bytes = packet,
                  const bpf::packet_metadata& metadata = {}) {
  return uring6::or_throw(bpf::vm::create(program)).run(bytes, metadata);
}

// Returns the value of A after `body`.
std::uint32_t value_after(bpf::program body) {
  body.push_back(bpf::ret_a{});
  return run(body);
}

struct sample {
  bpf::instruction typed;
  bpf::raw_instruction raw;
  std::string text;
};

// Operation codes as in linux/bpf_common.h, text as in Go's String.
const std::vector<sample> samples{
    {bpf::load_constant{reg::a, 42}, {0x00, 0, 0, 42}, "ld #42"},
    {bpf::load_constant{reg::x, 42}, {0x01, 0, 0, 42}, "ldx #42"},
    {bpf::load_scratch{reg::a, 3}, {0x60, 0, 0, 3}, "ld M[3]"},
    {bpf::load_scratch{reg::x, 15}, {0x61, 0, 0, 15}, "ldx M[15]"},
    {bpf::load_absolute{12, width::byte}, {0x30, 0, 0, 12}, "ldb [12]"},
    {bpf::load_absolute{12, width::half}, {0x28, 0, 0, 12}, "ldh [12]"},
    {bpf::load_absolute{12, width::word}, {0x20, 0, 0, 12}, "ld [12]"},
    {bpf::load_indirect{42, width::byte}, {0x50, 0, 0, 42}, "ldb [x + 42]"},
    {bpf::load_indirect{42, width::half}, {0x48, 0, 0, 42}, "ldh [x + 42]"},
    {bpf::load_indirect{42, width::word}, {0x40, 0, 0, 42}, "ld [x + 42]"},
    {bpf::load_mem_shift{14}, {0xb1, 0, 0, 14}, "ldx 4*([14]&0xf)"},
    {bpf::load_extension{extension::length}, {0x80, 0, 0, 0}, "ld #len"},
    {bpf::load_extension{extension::protocol}, {0x20, 0, 0, 0xfffff000}, "ld #proto"},
    {bpf::load_extension{extension::type}, {0x20, 0, 0, 0xfffff004}, "ld #type"},
    {bpf::load_extension{extension::interface_index}, {0x20, 0, 0, 0xfffff008}, "ld #ifidx"},
    {bpf::load_extension{extension::netlink_attr}, {0x20, 0, 0, 0xfffff00c}, "ld #nla"},
    {bpf::load_extension{extension::netlink_attr_nested}, {0x20, 0, 0, 0xfffff010}, "ld #nlan"},
    {bpf::load_extension{extension::mark}, {0x20, 0, 0, 0xfffff014}, "ld #mark"},
    {bpf::load_extension{extension::queue}, {0x20, 0, 0, 0xfffff018}, "ld #queue"},
    {bpf::load_extension{extension::link_layer_type}, {0x20, 0, 0, 0xfffff01c}, "ld #hatype"},
    {bpf::load_extension{extension::rx_hash}, {0x20, 0, 0, 0xfffff020}, "ld #rxhash"},
    {bpf::load_extension{extension::cpu_id}, {0x20, 0, 0, 0xfffff024}, "ld #cpu"},
    {bpf::load_extension{extension::vlan_tag}, {0x20, 0, 0, 0xfffff02c}, "ld #vlan_tci"},
    {bpf::load_extension{extension::vlan_tag_present}, {0x20, 0, 0, 0xfffff030}, "ld #vlan_avail"},
    {bpf::load_extension{extension::payload_offset}, {0x20, 0, 0, 0xfffff034}, "ld #poff"},
    {bpf::load_extension{extension::random}, {0x20, 0, 0, 0xfffff038}, "ld #rand"},
    {bpf::load_extension{extension::vlan_protocol}, {0x20, 0, 0, 0xfffff03c}, "ld #vlan_tpid"},
    {bpf::store_scratch{reg::a, 3}, {0x02, 0, 0, 3}, "st M[3]"},
    {bpf::store_scratch{reg::x, 3}, {0x03, 0, 0, 3}, "stx M[3]"},
    {bpf::alu_op_constant{alu_op::add, 15}, {0x04, 0, 0, 15}, "add #15"},
    {bpf::alu_op_constant{alu_op::sub, 15}, {0x14, 0, 0, 15}, "sub #15"},
    {bpf::alu_op_constant{alu_op::mul, 15}, {0x24, 0, 0, 15}, "mul #15"},
    {bpf::alu_op_constant{alu_op::div, 15}, {0x34, 0, 0, 15}, "div #15"},
    {bpf::alu_op_constant{alu_op::bit_or, 15}, {0x44, 0, 0, 15}, "or #15"},
    {bpf::alu_op_constant{alu_op::bit_and, 15}, {0x54, 0, 0, 15}, "and #15"},
    {bpf::alu_op_constant{alu_op::shift_left, 15}, {0x64, 0, 0, 15}, "lsh #15"},
    {bpf::alu_op_constant{alu_op::shift_right, 15}, {0x74, 0, 0, 15}, "rsh #15"},
    {bpf::alu_op_constant{alu_op::mod, 15}, {0x94, 0, 0, 15}, "mod #15"},
    {bpf::alu_op_constant{alu_op::bit_xor, 15}, {0xa4, 0, 0, 15}, "xor #15"},
    {bpf::alu_op_x{alu_op::add}, {0x0c, 0, 0, 0}, "add x"},
    {bpf::alu_op_x{alu_op::sub}, {0x1c, 0, 0, 0}, "sub x"},
    {bpf::alu_op_x{alu_op::mul}, {0x2c, 0, 0, 0}, "mul x"},
    {bpf::alu_op_x{alu_op::div}, {0x3c, 0, 0, 0}, "div x"},
    {bpf::alu_op_x{alu_op::bit_or}, {0x4c, 0, 0, 0}, "or x"},
    {bpf::alu_op_x{alu_op::bit_and}, {0x5c, 0, 0, 0}, "and x"},
    {bpf::alu_op_x{alu_op::shift_left}, {0x6c, 0, 0, 0}, "lsh x"},
    {bpf::alu_op_x{alu_op::shift_right}, {0x7c, 0, 0, 0}, "rsh x"},
    {bpf::alu_op_x{alu_op::mod}, {0x9c, 0, 0, 0}, "mod x"},
    {bpf::alu_op_x{alu_op::bit_xor}, {0xac, 0, 0, 0}, "xor x"},
    {bpf::negate_a{}, {0x84, 0, 0, 0}, "neg"},
    {bpf::jump{17}, {0x05, 0, 0, 17}, "ja 17"},
    {bpf::jump_if{jump_test::equal, 15, 5, 8}, {0x15, 5, 8, 15}, "jeq #15,5,8"},
    {bpf::jump_if{jump_test::equal, 15, 8, 0}, {0x15, 8, 0, 15}, "jeq #15,8"},
    {bpf::jump_if{jump_test::not_equal, 15, 8, 0}, {0x15, 0, 8, 15}, "jneq #15,8"},
    {bpf::jump_if{jump_test::greater_than, 15, 4, 5}, {0x25, 4, 5, 15}, "jgt #15,4,5"},
    {bpf::jump_if{jump_test::less_or_equal, 15, 6, 0}, {0x25, 0, 6, 15}, "jle #15,6"},
    {bpf::jump_if{jump_test::greater_or_equal, 15, 4, 5}, {0x35, 4, 5, 15}, "jge #15,4,5"},
    {bpf::jump_if{jump_test::less_than, 15, 6, 0}, {0x35, 0, 6, 15}, "jlt #15,6"},
    {bpf::jump_if{jump_test::bits_set, 15, 6, 1}, {0x45, 6, 1, 15}, "jset #15,6,1"},
    {bpf::jump_if{jump_test::bits_not_set, 15, 1, 0}, {0x45, 0, 1, 15}, "jset #15,0,1"},
    {bpf::jump_if_x{jump_test::equal, 5, 8}, {0x1d, 5, 8, 0}, "jeq x,5,8"},
    {bpf::jump_if_x{jump_test::not_equal, 8, 0}, {0x1d, 0, 8, 0}, "jneq x,8"},
    {bpf::jump_if_x{jump_test::greater_than, 4, 5}, {0x2d, 4, 5, 0}, "jgt x,4,5"},
    {bpf::jump_if_x{jump_test::less_or_equal, 6, 0}, {0x2d, 0, 6, 0}, "jle x,6"},
    {bpf::jump_if_x{jump_test::greater_or_equal, 4, 5}, {0x3d, 4, 5, 0}, "jge x,4,5"},
    {bpf::jump_if_x{jump_test::less_than, 6, 0}, {0x3d, 0, 6, 0}, "jlt x,6"},
    {bpf::jump_if_x{jump_test::bits_set, 6, 1}, {0x4d, 6, 1, 0}, "jset x,6,1"},
    {bpf::jump_if_x{jump_test::bits_not_set, 1, 0}, {0x4d, 0, 1, 0}, "jset x,0,1"},
    {bpf::ret_a{}, {0x16, 0, 0, 0}, "ret a"},
    {bpf::ret_constant{42}, {0x06, 0, 0, 42}, "ret #42"},
    {bpf::txa{}, {0x87, 0, 0, 0}, "txa"},
    {bpf::tax{}, {0x07, 0, 0, 0}, "tax"},
    {bpf::raw_instruction{0x81, 0, 0, 0}, {0x81, 0, 0, 0}, "{ 0x81, 0, 0, 0x00000000 }"},
};

}  // namespace

TEST_CASE("bpf: each instruction assembles, disassembles and prints as the kernel and Go have it") {
  for (const sample& s : samples) {
    INFO(s.text);
    CHECK(bpf::assemble(s.typed) == s.raw);
    CHECK(bpf::disassemble(s.raw) == s.typed);
    CHECK(fmt::format("{}", s.typed) == s.text);
  }
}

TEST_CASE("bpf: instructions that disassemble to another form assemble to the same code") {
  const std::vector<bpf::instruction> unusual{
      bpf::jump_if{jump_test::equal, 7, 0, 3},       bpf::jump_if{jump_test::not_equal, 7, 2, 3},
      bpf::jump_if{jump_test::equal, 7, 0, 0},       bpf::jump_if{jump_test::less_than, 7, 2, 3},
      bpf::jump_if_x{jump_test::greater_than, 0, 9}, bpf::jump_if{jump_test::bits_not_set, 7, 2, 3}};
  for (const bpf::instruction& one : unusual) {
    const auto raw = uring6::or_throw(bpf::assemble(one));
    CHECK(bpf::assemble(bpf::disassemble(raw)) == raw);
  }
}

TEST_CASE("bpf: every operation code survives disassembly and assembly") {
  for (unsigned op = 0; op <= 0x1ff; ++op) {
    for (const std::uint32_t k : {0U, 3U, 16U, 0xfffff000U, 0xfffff004U, 0xfffff028U, 0xffffffffU}) {
      for (const auto jump : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{255}}) {
        const bpf::raw_instruction raw{static_cast<std::uint16_t>(op), jump, 2, k};
        REQUIRE(bpf::assemble(bpf::disassemble(raw)) == raw);
      }
    }
  }
}

TEST_CASE("bpf: a conditional jump prints both targets where the notation needs them") {
  CHECK(fmt::format("{}", bpf::jump_if{jump_test::equal, 15, 0, 8}) == "jneq #15,8");
  CHECK(fmt::format("{}", bpf::jump_if{jump_test::not_equal, 15, 4, 8}) == "jneq #15,4,8");
  CHECK(fmt::format("{:>10}", bpf::ret_a{}) == "     ret a");
}

TEST_CASE("bpf: a program disassembles whole and says whether every instruction has a type") {
  const std::vector<bpf::raw_instruction> known{{0x28, 0, 0, 12}, {0x06, 0, 0, 1}};
  const std::vector<bpf::raw_instruction> unknown{{0x28, 0, 0, 12}, {0xffff, 1, 2, 3}, {0x06, 0, 0, 1}};
  CHECK(bpf::disassemble(known).all_decoded);
  const auto decoded = bpf::disassemble(unknown);
  CHECK_FALSE(decoded.all_decoded);
  REQUIRE(decoded.instructions.size() == 3);
  CHECK(decoded.instructions[1] == bpf::instruction(unknown[1]));
  CHECK(fmt::format("{}", fmt::join(bpf::disassemble(known).instructions, "\n")) == "ldh [12]\nret #1");
}

TEST_CASE("bpf: an operand that does not exist is an error and not a cut") {
  const auto error_of = [](const bpf::instruction& one) { return bpf::assemble(one).error(); };
  CHECK(error_of(bpf::load_constant{static_cast<reg>(2), 1}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::load_absolute{0, static_cast<width>(3)}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::load_indirect{0, static_cast<width>(0)}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::load_scratch{reg::a, 16}) == bpf::errc::scratch_out_of_range);
  CHECK(error_of(bpf::store_scratch{reg::x, 255}) == bpf::errc::scratch_out_of_range);
  CHECK(error_of(bpf::store_scratch{static_cast<reg>(9), 0}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::alu_op_constant{static_cast<alu_op>(0x80), 1}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::alu_op_x{static_cast<alu_op>(0xb0)}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::alu_op_x{static_cast<alu_op>(0x01)}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::load_extension{static_cast<extension>(2)}) == bpf::errc::bad_operand);
  CHECK(error_of(bpf::jump_if{static_cast<jump_test>(8), 0, 0, 0}) == bpf::errc::bad_operand);
  CHECK(fmt::format("{}", bpf::load_absolute{0, static_cast<width>(3)}) == "unknown instruction");
  CHECK(fmt::format("{}", bpf::load_scratch{static_cast<reg>(2), 0}) == "unknown instruction");
  CHECK(fmt::format("{}", bpf::load_extension{static_cast<extension>(2)}) == "unknown instruction");
  // A load from the address of an extension is that extension, whatever its width.
  CHECK(fmt::format("{}", bpf::load_absolute{0xfffff038, bpf::width::word}) == "ld #rand");
  CHECK(fmt::format("{}", bpf::load_absolute{0xfffff038, bpf::width::byte}) == "ldb #rand");
  CHECK(fmt::format("{}", bpf::load_absolute{0xfffff000, bpf::width::half}) == "ldh #proto");
  CHECK(fmt::format("{}", bpf::disassemble(bpf::raw_instruction{0x30, 0, 0, 0xfffff024})) == "ldb #cpu");
  // This address has no extension: `ld #len` is an instruction of its own.
  CHECK(fmt::format("{}", bpf::load_absolute{0xfffff001, bpf::width::word}) == "ld [4294963201]");
  CHECK(fmt::format("{}", bpf::load_absolute{0xfffff028, bpf::width::word}) == "ld [4294963240]");
  CHECK(fmt::format("{}", bpf::load_absolute{0xffffffff, bpf::width::byte}) == "ldb [4294967295]");
  CHECK(fmt::format("{}", bpf::jump_if{static_cast<jump_test>(8), 1, 2, 3}) == "unknown instruction");
}

TEST_CASE("bpf: an empty program is an error everywhere") {
  CHECK(bpf::assemble(bpf::program{}).error() == bpf::errc::empty_program);
  CHECK(bpf::check({}).error() == bpf::errc::empty_program);
  CHECK(bpf::vm::create(bpf::program{}).error() == bpf::errc::empty_program);
  CHECK(bpf::vm::create(bpf::raw_program{}).error() == bpf::errc::empty_program);
  CHECK(bpf::disassemble(bpf::raw_program{}).instructions.empty());
  CHECK(make_error_code(bpf::errc::empty_program) == std::errc::invalid_argument);
  CHECK(make_error_code(bpf::errc::unsupported_by_vm) == std::errc::operation_not_supported);
}

TEST_CASE("bpf: each error has a message of its own") {
  std::vector<std::string> messages;
  for (int value = 1; value <= static_cast<int>(bpf::errc::unsupported_by_vm); ++value) {
    messages.push_back(bpf::error_category().message(value));
  }
  std::ranges::sort(messages);
  CHECK(std::ranges::adjacent_find(messages) == messages.end());
  CHECK(std::ranges::find(messages, bpf::error_category().message(0)) == messages.end());
  CHECK(bpf::error_category().message(99) == bpf::error_category().message(0));
}

TEST_CASE("bpf: each program that the kernel refuses is refused with its reason") {
  const auto refusal = [](bpf::program program) {
    const auto created = bpf::vm::create(program);
    return created ? std::error_code() : created.error();
  };
  const bpf::ret_constant end{1};
  CHECK(refusal({bpf::txa{}}) == bpf::errc::no_return);
  CHECK(refusal({end, bpf::tax{}}) == bpf::errc::no_return);
  CHECK(refusal({bpf::jump{1}, end}) == bpf::errc::jump_out_of_program);
  CHECK(refusal({bpf::jump{std::numeric_limits<std::uint32_t>::max()}, end}) == bpf::errc::jump_out_of_program);
  CHECK(refusal({bpf::jump_if{jump_test::equal, 0, 1, 0}, end}) == bpf::errc::jump_out_of_program);
  CHECK(refusal({bpf::jump_if{jump_test::equal, 0, 0, 1}, end}) == bpf::errc::jump_out_of_program);
  CHECK(refusal({bpf::jump_if_x{jump_test::less_than, 255, 0}, end}) == bpf::errc::jump_out_of_program);
  CHECK(refusal({bpf::alu_op_constant{alu_op::div, 0}, end}) == bpf::errc::division_by_zero);
  CHECK(refusal({bpf::alu_op_constant{alu_op::mod, 0}, end}) == bpf::errc::division_by_zero);
  CHECK(refusal({bpf::alu_op_constant{alu_op::shift_left, 32}, end}) == bpf::errc::shift_out_of_range);
  CHECK(refusal({bpf::alu_op_constant{alu_op::shift_right, 99}, end}) == bpf::errc::shift_out_of_range);
  CHECK(refusal({bpf::load_scratch{reg::a, 0}, end}) == bpf::errc::scratch_uninitialized);
  CHECK(refusal({bpf::raw_instruction{0xffff, 0, 0, 0}, end}) == bpf::errc::unknown_instruction);
  CHECK(refusal({bpf::raw_instruction{0x60, 0, 0, 16}, end}) == bpf::errc::scratch_out_of_range);
  CHECK(refusal({bpf::load_absolute{0xfffff002, width::word}, end}) == bpf::errc::unknown_instruction);
  CHECK(refusal({bpf::load_extension{extension::netlink_attr}, end}) == bpf::errc::unsupported_by_vm);
  CHECK(refusal({bpf::load_absolute{0xfff00000, width::word}, end}) == bpf::errc::unsupported_by_vm);
  CHECK(refusal({bpf::load_mem_shift{0xffe00000}, end}) == bpf::errc::unsupported_by_vm);

  bpf::program longest(bpf::max_instructions, bpf::tax{});
  longest.back() = end;
  CHECK(refusal(longest) == std::error_code());
  longest.insert(longest.begin(), bpf::tax{});
  CHECK(refusal(longest) == bpf::errc::program_too_long);
}

TEST_CASE("bpf: scratch must be written on every path that reads it") {
  const auto accepted = [](bpf::program program) { return bpf::vm::create(program).has_value(); };
  const bpf::ret_a end;
  CHECK(accepted({bpf::store_scratch{reg::a, 1}, bpf::load_scratch{reg::a, 1}, end}));
  // The jump leads past the store, where its test holds or where it does not.
  CHECK_FALSE(accepted(
      {bpf::jump_if{jump_test::equal, 0, 1, 0}, bpf::store_scratch{reg::a, 1}, bpf::load_scratch{reg::a, 1}, end}));
  CHECK_FALSE(accepted(
      {bpf::jump_if{jump_test::equal, 0, 0, 1}, bpf::store_scratch{reg::a, 1}, bpf::load_scratch{reg::a, 1}, end}));
  // Both branches store.
  CHECK(accepted({bpf::jump_if{jump_test::equal, 0, 2, 0}, bpf::store_scratch{reg::a, 1}, bpf::jump{1},
                  bpf::store_scratch{reg::x, 1}, bpf::load_scratch{reg::a, 1}, end}));
  // Unreachable instructions may read any scratch.
  CHECK(accepted({bpf::jump{1}, bpf::load_scratch{reg::a, 7}, end}));
}

TEST_CASE("bpf vm: loads read the packet in network order and end the program outside it") {
  CHECK(value_after({bpf::load_absolute{0, width::byte}}) == 0x46);
  CHECK(value_after({bpf::load_absolute{6, width::half}}) == 0x0607);
  CHECK(value_after({bpf::load_absolute{4, width::word}}) == 0xf4050607);
  CHECK(value_after({bpf::load_absolute{8, width::byte}, bpf::load_constant{reg::a, 9}}) == 0);
  CHECK(value_after({bpf::load_absolute{7, width::half}, bpf::load_constant{reg::a, 9}}) == 0);
  CHECK(value_after({bpf::load_absolute{0x7fffffff, width::word}, bpf::load_constant{reg::a, 9}}) == 0);
  CHECK(value_after({bpf::load_constant{reg::x, 2}, bpf::load_indirect{1, width::byte}}) == 3);
  CHECK(value_after({bpf::load_constant{reg::x, 0xffffffff}, bpf::load_indirect{2, width::byte}}) == 1);
  CHECK(value_after(
            {bpf::load_constant{reg::x, 8}, bpf::load_indirect{0, width::byte}, bpf::load_constant{reg::a, 9}}) == 0);
  CHECK(value_after({bpf::load_mem_shift{0}, bpf::txa{}}) == 24);
  CHECK(value_after({bpf::load_mem_shift{8}, bpf::load_constant{reg::a, 9}}) == 0);
  CHECK(value_after({bpf::load_extension{extension::length}}) == 8);
  CHECK(value_after({bpf::raw_instruction{0x81, 0, 0, 0}, bpf::txa{}}) == 8);
  CHECK(run({bpf::load_absolute{0, width::byte}, bpf::ret_constant{1}}, {}) == 0);
  CHECK(run({bpf::ret_constant{7}}, {}) == 7);
}

TEST_CASE("bpf vm: arithmetic is unsigned, wraps, and shifts modulo 32") {
  const auto constant = [](std::uint32_t a, alu_op op, std::uint32_t value) {
    return value_after({bpf::load_constant{reg::a, a}, bpf::alu_op_constant{op, value}});
  };
  const auto with_x = [](std::uint32_t a, alu_op op, std::uint32_t x) {
    return value_after({bpf::load_constant{reg::a, a}, bpf::load_constant{reg::x, x}, bpf::alu_op_x{op}});
  };
  for (const auto& calculate : {+constant, +with_x}) {
    CHECK(calculate(0xffffffff, alu_op::add, 3) == 2);
    CHECK(calculate(1, alu_op::sub, 3) == 0xfffffffe);
    CHECK(calculate(0x10001, alu_op::mul, 0x10001) == 0x20001);
    CHECK(calculate(0xfffffffe, alu_op::div, 2) == 0x7fffffff);
    CHECK(calculate(0xffffffff, alu_op::mod, 10) == 5);
    CHECK(calculate(0xf0, alu_op::bit_or, 0x0f) == 0xff);
    CHECK(calculate(0xf1, alu_op::bit_and, 0x1f) == 0x11);
    CHECK(calculate(0xff, alu_op::bit_xor, 0x0f) == 0xf0);
    CHECK(calculate(1, alu_op::shift_left, 31) == 0x80000000);
    CHECK(calculate(0x80000000, alu_op::shift_right, 31) == 1);
  }
  CHECK(with_x(1, alu_op::shift_left, 33) == 2);
  CHECK(with_x(4, alu_op::shift_right, 33) == 2);
  CHECK(with_x(5, alu_op::div, 0) == 0);
  CHECK(with_x(5, alu_op::mod, 0) == 0);
  CHECK(value_after({bpf::load_constant{reg::a, 1}, bpf::negate_a{}}) == 0xffffffff);
  CHECK(value_after({bpf::negate_a{}}) == 0);
}

TEST_CASE("bpf vm: division by an X of zero ends the program, not only the instruction") {
  CHECK(value_after({bpf::load_constant{reg::a, 5}, bpf::alu_op_x{alu_op::div}, bpf::load_constant{reg::a, 9}}) == 0);
}

TEST_CASE("bpf vm: each test takes the branch it names") {
  const auto taken = [](jump_test test, std::uint32_t a, std::uint32_t operand) {
    const std::uint32_t by_constant = run(
        {bpf::load_constant{reg::a, a}, bpf::jump_if{test, operand, 1, 0}, bpf::ret_constant{1}, bpf::ret_constant{2}});
    const std::uint32_t by_x = run({bpf::load_constant{reg::a, a}, bpf::load_constant{reg::x, operand},
                                    bpf::jump_if_x{test, 1, 0}, bpf::ret_constant{1}, bpf::ret_constant{2}});
    REQUIRE(by_constant == by_x);
    return by_constant == 2;
  };
  for (const auto& [a, b] : {std::pair{3U, 4U}, {4U, 4U}, {5U, 4U}, {0xffffffffU, 1U}, {0U, 0U}}) {
    CHECK(taken(jump_test::equal, a, b) == (a == b));
    CHECK(taken(jump_test::not_equal, a, b) == (a != b));
    CHECK(taken(jump_test::greater_than, a, b) == (a > b));
    CHECK(taken(jump_test::less_than, a, b) == (a < b));
    CHECK(taken(jump_test::greater_or_equal, a, b) == (a >= b));
    CHECK(taken(jump_test::less_or_equal, a, b) == (a <= b));
    CHECK(taken(jump_test::bits_set, a, b) == ((a & b) != 0));
    CHECK(taken(jump_test::bits_not_set, a, b) == ((a & b) == 0));
  }
}

TEST_CASE("bpf vm: registers and scratch keep their values apart") {
  CHECK(value_after({bpf::load_constant{reg::a, 1}, bpf::load_constant{reg::x, 2}, bpf::store_scratch{reg::a, 0},
                     bpf::store_scratch{reg::x, 15}, bpf::load_scratch{reg::x, 0}, bpf::load_scratch{reg::a, 15},
                     bpf::alu_op_constant{alu_op::shift_left, 4}, bpf::alu_op_x{alu_op::bit_or}}) == 0x21);
  CHECK(value_after({bpf::load_constant{reg::a, 7}, bpf::tax{}, bpf::load_constant{reg::a, 0}, bpf::txa{}}) == 7);
  CHECK(value_after({bpf::jump{1}, bpf::load_constant{reg::a, 1}}) == 0);
}

TEST_CASE("bpf vm: extensions answer from the metadata that the caller gives") {
  const bpf::packet_metadata metadata{.protocol = 1,
                                      .type = 2,
                                      .interface_index = 3,
                                      .mark = 4,
                                      .queue = 5,
                                      .link_layer_type = 6,
                                      .rx_hash = 7,
                                      .cpu_id = 8,
                                      .vlan_tag = 9,
                                      .vlan_tag_present = true,
                                      .vlan_protocol = 10,
                                      .payload_offset = 11,
                                      .random = 12};
  const auto value = [&](extension num) { return run({bpf::load_extension{num}, bpf::ret_a{}}, packet, metadata); };
  CHECK(value(extension::protocol) == 1);
  CHECK(value(extension::type) == 2);
  CHECK(value(extension::interface_index) == 3);
  CHECK(value(extension::mark) == 4);
  CHECK(value(extension::queue) == 5);
  CHECK(value(extension::link_layer_type) == 6);
  CHECK(value(extension::rx_hash) == 7);
  CHECK(value(extension::cpu_id) == 8);
  CHECK(value(extension::vlan_tag) == 9);
  CHECK(value(extension::vlan_tag_present) == 1);
  CHECK(value(extension::vlan_protocol) == 10);
  CHECK(value(extension::payload_offset) == 11);
  CHECK(value(extension::random) == 12);
}
