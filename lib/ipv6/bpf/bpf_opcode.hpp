// The fields of a classic BPF operation code (linux/bpf_common.h, linux/filter.h), as constants with a type.
#pragma once

#include <cstdint>

namespace uring6::inline v0::bpf::opcode {

// Bits 0..2: the class.
inline constexpr std::uint16_t ld = 0x00, ldx = 0x01, st = 0x02, stx = 0x03, alu = 0x04, jmp = 0x05, ret = 0x06,
                               misc = 0x07;
inline constexpr std::uint16_t class_mask = 0x07;

// Loads. Bits 3..4: the width; bits 5..7: the mode.
inline constexpr std::uint16_t word = 0x00, half = 0x08, byte = 0x10;
inline constexpr std::uint16_t width_mask = 0x18;
inline constexpr std::uint16_t imm = 0x00, abs = 0x20, ind = 0x40, mem = 0x60, len = 0x80, msh = 0xa0;
inline constexpr std::uint16_t mode_mask = 0xe0;

// Arithmetic and jumps. Bit 3: the operand, constant or X; bits 4..7: the operator.
inline constexpr std::uint16_t k = 0x00, x = 0x08;
inline constexpr std::uint16_t add = 0x00, sub = 0x10, mul = 0x20, div = 0x30, bit_or = 0x40, bit_and = 0x50,
                               lsh = 0x60, rsh = 0x70, neg = 0x80, mod = 0x90, bit_xor = 0xa0;
inline constexpr std::uint16_t ja = 0x00, jeq = 0x10, jgt = 0x20, jge = 0x30, jset = 0x40;
inline constexpr std::uint16_t operator_mask = 0xf0;

// Returns (the constant form has no bit) and register moves.
inline constexpr std::uint16_t a = 0x10;
inline constexpr std::uint16_t tax = 0x00, txa = 0x80;

// Absolute offsets that are no offsets in the packet: SKF_AD_OFF + extension, SKF_NET_OFF, SKF_LL_OFF.
inline constexpr std::uint32_t extension_base = 0xfffff000, network_header = 0xfff00000, link_header = 0xffe00000;
// SKF_AD_ALU_XOR_X: the kernel computes A ^= X for a load at this offset.
inline constexpr std::uint32_t xor_x = extension_base + 40;

inline constexpr std::uint32_t scratch_slots = 16;

}  // namespace uring6::inline v0::bpf::opcode
