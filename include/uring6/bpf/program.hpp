// Converts programs between typed instructions and the kernel's form, and checks whether the kernel would take them.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <span>
#include <string>

#include "uring6/bpf/error.hpp"
#include "uring6/bpf/instruction.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::bpf {

/// The longest program that the kernel takes, in instructions (BPF_MAXINSNS).
inline constexpr std::size_t max_instructions = 4096;

/// One instruction in the kernel's form. Go: Instruction.Assemble.
///
/// Errors: `errc::bad_operand` for a register, width, operator, test or extension that does not exist,
/// `errc::scratch_out_of_range` for a slot above 15.
URING6_EXPORT result<raw_instruction> assemble(const instruction& one);

/// A program in the kernel's form. Go: Assemble.
///
/// Errors: as above; `errc::empty_program`, `errc::program_too_long`. It does not check whether the kernel would take
/// the program; `check` does.
URING6_EXPORT result<raw_program> assemble(std::span<const instruction> instructions);

/// The result of `disassemble` for a program.
struct disassembly {
  program instructions{};
  bool all_decoded = true;  ///< False if a raw_instruction is left among them.
};

/// The typed form of an instruction, or `raw` itself if there is none. Go: RawInstruction.Disassemble.
///
/// Assembling the result always gives `raw` again.
URING6_EXPORT instruction disassemble(const raw_instruction& raw) noexcept;

/// The typed form of a program. Go: Disassemble.
URING6_EXPORT disassembly disassemble(std::span<const raw_instruction> instructions);

/// The instruction in the assembler notation of tcpdump -d and Go's String: "ld #len", "ldh [12]", "jeq #34525,0,3",
/// "ret #0". A load of any width from the offset of an extension shows the extension's name, "ldb #rand"; Go does so
/// for words only. An instruction with an operand that does not exist is "unknown instruction". A raw one is written
/// as in tcpdump -dd: "{ 0x28, 0, 0, 0x0000000c }".
URING6_EXPORT std::string to_string(const instruction& one);

/// Checks whether the kernel would take the program, by the rules of SO_ATTACH_FILTER, which answers only EINVAL.
///
/// Errors: every `errc` but `bad_operand` and `unsupported_by_vm`.
URING6_EXPORT result<void> check(std::span<const raw_instruction> instructions);

}  // namespace uring6::inline v0::bpf
