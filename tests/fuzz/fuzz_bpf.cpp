// Any program: it survives disassembly, is refused for a reason, or runs to its end on any packet.
#include <cstring>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "uring6/bpf.hpp"

namespace bpf = uring6::bpf;
using uring6::fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The first byte is the length of the program in instructions; the rest behind it is the packet.
  const auto all = std::as_bytes(std::span(data, size));
  if (all.empty()) return 0;
  const auto rest = all.subspan(1);
  const std::size_t wanted = std::to_integer<std::size_t>(all[0]);
  bpf::raw_program program(std::min(wanted, rest.size() / sizeof(bpf::raw_instruction)));
  const std::size_t program_size = program.size() * sizeof(bpf::raw_instruction);
  if (!program.empty()) std::memcpy(program.data(), rest.data(), program_size);
  const auto packet = rest.subspan(program_size);

  const auto decoded = bpf::disassemble(program);
  check(decoded.instructions.size() == program.size(), "each instruction is one instruction");
  for (const bpf::instruction& one : decoded.instructions) check(!to_string(one).empty(), "an instruction prints");
  const auto assembled = bpf::assemble(decoded.instructions);
  const auto checked = bpf::check(program);
  if (program.empty()) {
    check(assembled.error() == bpf::errc::empty_program, "an empty program is refused");
    check(checked.error() == bpf::errc::empty_program, "an empty program is refused");
    return 0;
  }
  check(assembled.has_value() && *assembled == program, "a program is assembled as it was");

  const auto vm = bpf::vm::create(program);
  if (!checked) {
    check(vm.error() == checked.error(), "the VM refuses what the check refuses");
    return 0;
  }
  if (!vm) {
    check(vm.error() == bpf::errc::unsupported_by_vm, "the VM refuses nothing else");
    return 0;
  }
  check(vm->run(packet) == vm->run(packet), "a run depends on the packet alone");
  return 0;
}
