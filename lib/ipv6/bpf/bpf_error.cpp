#include <iterator>
#include <string>

#include "uring6/bpf/error.hpp"

namespace uring6::inline v0::bpf {
namespace {

// Indexed by errc - 1.
constexpr const char* messages[] = {
    "the BPF program is empty",
    "the BPF program has more than 4096 instructions",
    "no such BPF instruction",
    "a BPF instruction has an operand that does not exist",
    "a BPF jump leads out of the program",
    "a BPF instruction divides by zero",
    "a BPF instruction shifts by 32 or more",
    "a BPF scratch slot is above 15",
    "a BPF scratch slot is read before it is written",
    "the BPF program does not end in a return",
    "the BPF program reads what only the kernel has",
};

class bpf_errors final : public std::error_category {
 public:
  const char* name() const noexcept override { return "uring6.bpf"; }

  std::string message(int value) const override {
    const auto index = static_cast<std::size_t>(value) - 1;
    return index < std::size(messages) ? messages[index] : "unknown BPF error";
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    if (value < 1 || value > static_cast<int>(std::size(messages))) return {value, *this};
    return std::make_error_condition(value == static_cast<int>(errc::unsupported_by_vm)
                                         ? std::errc::operation_not_supported
                                         : std::errc::invalid_argument);
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  static const bpf_errors instance;
  return instance;
}

}  // namespace uring6::inline v0::bpf
