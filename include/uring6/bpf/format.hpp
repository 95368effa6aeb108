// fmt formatters for classic BPF. A whole program: fmt::print("{}", fmt::join(program, "\n")).
#pragma once

#include "uring6/version.hpp"

#include "uring6/bpf/instruction.hpp"
#include "uring6/bpf/program.hpp"
#include "uring6/detail/text_formatter.hpp"

template <>
struct fmt::formatter<uring6::bpf::instruction> : uring6::detail::text_formatter<uring6::bpf::instruction> {};

/// One of the instruction types.
template <uring6::detail::alternative_of<uring6::bpf::instruction> T>
struct fmt::formatter<T> : fmt::formatter<uring6::bpf::instruction> {};
