#include "uring6/bpf/vm.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>

#include "ipv6/bpf/bpf_opcode.hpp"

namespace uring6::inline v0::bpf {
namespace {

namespace o = opcode;

bool reads_only_the_packet(const raw_instruction& i) {
  switch (i.op) {
    case o::ld | o::abs | o::word:
    case o::ld | o::abs | o::half:
    case o::ld | o::abs | o::byte: {
      if (i.k >= o::extension_base) {
        const auto which = static_cast<extension>(i.k - o::extension_base);
        return which != extension::netlink_attr && which != extension::netlink_attr_nested;
      }
      return i.k < o::link_header;
    }
    case o::ldx | o::msh | o::byte:
      return i.k < o::link_header;
    default:
      return true;
  }
}

std::optional<std::uint32_t> load(std::span<const std::byte> packet, std::uint32_t offset, std::uint16_t op) {
  const unsigned bits = op & o::width_mask;
  const std::size_t size = bits == o::byte ? 1 : bits == o::half ? 2 : 4;
  if (packet.size() < size || offset > packet.size() - size) return std::nullopt;
  std::uint32_t value = 0;
  for (const std::byte b : packet.subspan(offset, size)) value = value << 8 | std::to_integer<std::uint32_t>(b);
  return value;
}

std::uint32_t value_of(extension which, const packet_metadata& metadata) {
  switch (which) {
    case extension::protocol:
      return metadata.protocol;
    case extension::type:
      return metadata.type;
    case extension::interface_index:
      return metadata.interface_index;
    case extension::mark:
      return metadata.mark;
    case extension::queue:
      return metadata.queue;
    case extension::link_layer_type:
      return metadata.link_layer_type;
    case extension::rx_hash:
      return metadata.rx_hash;
    case extension::cpu_id:
      return metadata.cpu_id;
    case extension::vlan_tag:
      return metadata.vlan_tag;
    case extension::vlan_tag_present:
      return metadata.vlan_tag_present ? 1 : 0;
    case extension::payload_offset:
      return metadata.payload_offset;
    case extension::random:
      return metadata.random;
    case extension::vlan_protocol:
      return metadata.vlan_protocol;
    case extension::length:  // has an instruction of its own
    case extension::netlink_attr:
    case extension::netlink_attr_nested:  // `create` refuses these
      break;
  }
  return 0;
}

// The result of an arithmetic instruction; nothing for a division by zero.
std::optional<std::uint32_t> calculate(std::uint16_t op, std::uint32_t a, std::uint32_t operand) {
  switch (op & o::operator_mask) {
    case o::add:
      return a + operand;
    case o::sub:
      return a - operand;
    case o::mul:
      return a * operand;
    case o::div:
      if (operand == 0) return std::nullopt;
      return a / operand;
    case o::mod:
      if (operand == 0) return std::nullopt;
      return a % operand;
    case o::bit_or:
      return a | operand;
    case o::bit_and:
      return a & operand;
    case o::bit_xor:
      return a ^ operand;
    case o::lsh:
      return a << (operand & 31);
    case o::rsh:
      return a >> (operand & 31);
    default:
      return 0 - a;
  }
}

bool holds(std::uint16_t op, std::uint32_t a, std::uint32_t operand) {
  switch (op & o::operator_mask) {
    case o::jeq:
      return a == operand;
    case o::jgt:
      return a > operand;
    case o::jge:
      return a >= operand;
    default:
      return (a & operand) != 0;
  }
}

}  // namespace

result<vm> vm::create(std::span<const instruction> instructions) {
  const auto assembled = assemble(instructions);
  if (!assembled) return fail(assembled.error());
  return create(*assembled);
}

result<vm> vm::create(std::span<const raw_instruction> instructions) {
  if (const auto checked = check(instructions); !checked) return fail(checked.error());
  if (!std::ranges::all_of(instructions, reads_only_the_packet)) return fail(errc::unsupported_by_vm);
  return vm(raw_program(instructions.begin(), instructions.end()));
}

std::uint32_t vm::run(std::span<const std::byte> packet, const packet_metadata& metadata) const noexcept {
  assert(!program_.empty() && "`create` makes no vm without a program");
  const auto length = static_cast<std::uint32_t>(packet.size());
  std::array<std::uint32_t, o::scratch_slots> scratch{};
  std::uint32_t a = 0;
  std::uint32_t x = 0;

  // `create` has checked that every jump leads forward and into the program, and that the last instruction returns.
  for (const raw_instruction* i = program_.data();; ++i) {
    assert(i < program_.data() + program_.size());
    const std::uint32_t operand = (i->op & o::x) != 0 ? x : i->k;
    switch (i->op & o::class_mask) {
      case o::ld: {
        std::optional<std::uint32_t> loaded;
        switch (i->op & o::mode_mask) {
          case o::imm:
            loaded = i->k;
            break;
          case o::mem:
            assert(i->k < o::scratch_slots);
            loaded = scratch[i->k];
            break;
          case o::len:
            loaded = length;
            break;
          case o::ind:
            loaded = load(packet, x + i->k, i->op);
            break;
          default:
            if (i->k == o::xor_x) {
              loaded = a ^ x;
            } else if (i->k >= o::extension_base) {
              loaded = value_of(static_cast<extension>(i->k - o::extension_base), metadata);
            } else {
              loaded = load(packet, i->k, i->op);
            }
            break;
        }
        if (!loaded) return 0;
        a = *loaded;
        break;
      }
      case o::ldx:
        switch (i->op & o::mode_mask) {
          case o::imm:
            x = i->k;
            break;
          case o::mem:
            assert(i->k < o::scratch_slots);
            x = scratch[i->k];
            break;
          case o::len:
            x = length;
            break;
          default: {
            const auto first = load(packet, i->k, o::byte);
            if (!first) return 0;
            x = (*first & 0x0f) * 4;
            break;
          }
        }
        break;
      case o::st:
        assert(i->k < o::scratch_slots && "`check` has refused the slot");
        scratch[i->k] = a;
        break;
      case o::stx:
        assert(i->k < o::scratch_slots);
        scratch[i->k] = x;
        break;
      case o::alu: {
        const auto calculated = calculate(i->op, a, operand);
        if (!calculated) return 0;
        a = *calculated;
        break;
      }
      case o::jmp:
        if ((i->op & o::operator_mask) == o::ja) {
          i += i->k;
        } else {
          i += holds(i->op, a, operand) ? i->jt : i->jf;
        }
        break;
      case o::ret:
        return (i->op & o::a) != 0 ? a : i->k;
      default:
        if ((i->op & o::txa) != 0) {
          a = x;
        } else {
          x = a;
        }
        break;
    }
  }
}

}  // namespace uring6::inline v0::bpf
