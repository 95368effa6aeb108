// The errors of a classic BPF program.
#pragma once

#include "uring6/version.hpp"

#include <system_error>

#include "uring6/export.hpp"

namespace uring6::inline v0::bpf {

/// Why a program is refused. All but `unsupported_by_vm` equal `std::errc::invalid_argument`, because the kernel
/// answers each of them with EINVAL.
enum class errc {
  empty_program = 1,      ///< The program has no instruction.
  program_too_long,       ///< More than 4096 instructions (BPF_MAXINSNS).
  unknown_instruction,    ///< An operation code that the kernel does not know.
  bad_operand,            ///< A register, width, operator, test or extension that does not exist.
  jump_out_of_program,    ///< A jump goes behind the last instruction.
  division_by_zero,       ///< A division or remainder by the constant 0.
  shift_out_of_range,     ///< A shift by a constant of 32 or more.
  scratch_out_of_range,   ///< A scratch slot above 15.
  scratch_uninitialized,  ///< A path reads a scratch slot that it has not written.
  no_return,              ///< The last instruction is not a return.
  unsupported_by_vm,  ///< The program reads what only the kernel has. Equal to `std::errc::operation_not_supported`.
};

/// The category of `bpf::errc`.
URING6_EXPORT const std::error_category& error_category() noexcept;

inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

}  // namespace uring6::inline v0::bpf

template <>
struct std::is_error_code_enum<uring6::bpf::errc> : std::true_type {};
