#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <variant>

#include "ipv6/bpf/bpf_opcode.hpp"
#include "uring6/bpf/program.hpp"

namespace uring6::inline v0::bpf {
namespace {

std::string_view load_name(width size) {
  switch (size) {
    case width::byte:
      return "ldb";
    case width::half:
      return "ldh";
    case width::word:
      return "ld";
  }
  return {};
}

std::string_view extension_name(extension num) {
  switch (num) {
    case extension::length:
      return "len";
    case extension::protocol:
      return "proto";
    case extension::type:
      return "type";
    case extension::interface_index:
      return "ifidx";
    case extension::netlink_attr:
      return "nla";
    case extension::netlink_attr_nested:
      return "nlan";
    case extension::mark:
      return "mark";
    case extension::queue:
      return "queue";
    case extension::link_layer_type:
      return "hatype";
    case extension::rx_hash:
      return "rxhash";
    case extension::cpu_id:
      return "cpu";
    case extension::vlan_tag:
      return "vlan_tci";
    case extension::vlan_tag_present:
      return "vlan_avail";
    case extension::payload_offset:
      return "poff";
    case extension::random:
      return "rand";
    case extension::vlan_protocol:
      return "vlan_tpid";
  }
  return {};
}

// The name of the extension at an absolute offset; empty if there is none. The extension `length` has no offset: it has
// an instruction of its own.
std::string_view extension_at(std::uint32_t offset) {
  constexpr std::uint32_t greatest = 0xff;
  const std::uint32_t number = offset - opcode::extension_base;
  if (offset < opcode::extension_base || number > greatest) return {};
  const auto num = static_cast<extension>(number);
  return num == extension::length ? std::string_view() : extension_name(num);
}

std::string_view operator_name(alu_op op) {
  switch (op) {
    case alu_op::add:
      return "add";
    case alu_op::sub:
      return "sub";
    case alu_op::mul:
      return "mul";
    case alu_op::div:
      return "div";
    case alu_op::bit_or:
      return "or";
    case alu_op::bit_and:
      return "and";
    case alu_op::shift_left:
      return "lsh";
    case alu_op::shift_right:
      return "rsh";
    case alu_op::mod:
      return "mod";
    case alu_op::bit_xor:
      return "xor";
  }
  return {};
}

struct condition {
  std::string_view name;
  unsigned first;   // instructions to skip if the condition holds
  unsigned second;  // instructions to skip if it does not; not written when 0
};

// A jump that skips nothing when the condition holds is written as the opposite test.
condition notation(jump_test test, unsigned skip_true, unsigned skip_false) {
  const auto either = [&](std::string_view name, std::string_view opposite) {
    return skip_true == 0 ? condition{opposite, skip_false, 0} : condition{name, skip_true, skip_false};
  };
  switch (test) {
    case jump_test::equal:
      return either("jeq", "jneq");
    case jump_test::not_equal:
      return {"jneq", skip_true, skip_false};
    case jump_test::greater_than:
      return either("jgt", "jle");
    case jump_test::less_or_equal:
      return {"jle", skip_true, skip_false};
    case jump_test::greater_or_equal:
      return either("jge", "jlt");
    case jump_test::less_than:
      return {"jlt", skip_true, skip_false};
    case jump_test::bits_set:
      return {"jset", skip_true, skip_false};
    case jump_test::bits_not_set:
      return {"jset", skip_false, skip_true};
  }
  return {};
}

class writer {
 public:
  explicit writer(fmt::memory_buffer& text) : text_(text) {}

  void operator()(const load_constant& i) const {
    if (name("ld", i.dst)) print("#{}", i.value);
  }
  void operator()(const load_scratch& i) const {
    if (name("ld", i.dst)) print("M[{}]", i.slot);
  }
  void operator()(const load_absolute& i) const {
    if (!name(load_name(i.size))) return;
    const std::string_view extension = extension_at(i.offset);
    if (extension.empty()) {
      print("[{}]", i.offset);
    } else {
      print("#{}", extension);
    }
  }
  void operator()(const load_indirect& i) const {
    if (name(load_name(i.size))) print("[x + {}]", i.offset);
  }
  void operator()(const load_mem_shift& i) const { print("ldx 4*([{}]&0xf)", i.offset); }
  void operator()(const load_extension& i) const {
    const std::string_view extension = extension_name(i.num);
    if (name(extension.empty() ? extension : "ld")) print("#{}", extension);
  }
  void operator()(const store_scratch& i) const {
    if (name("st", i.src)) print("M[{}]", i.slot);
  }
  void operator()(const alu_op_constant& i) const {
    if (name(operator_name(i.op))) print("#{}", i.value);
  }
  void operator()(const alu_op_x& i) const {
    if (name(operator_name(i.op))) print("x");
  }
  void operator()(const negate_a&) const { print("neg"); }
  void operator()(const jump& i) const { print("ja {}", i.skip); }
  void operator()(const jump_if& i) const {
    const condition c = notation(i.test, i.skip_true, i.skip_false);
    if (name(c.name)) print("#{}", i.value);
    print(c);
  }
  void operator()(const jump_if_x& i) const {
    const condition c = notation(i.test, i.skip_true, i.skip_false);
    if (name(c.name)) print("x");
    print(c);
  }
  void operator()(const ret_a&) const { print("ret a"); }
  void operator()(const ret_constant& i) const { print("ret #{}", i.value); }
  void operator()(const txa&) const { print("txa"); }
  void operator()(const tax&) const { print("tax"); }
  void operator()(const raw_instruction& i) const { print("{{ {:#x}, {}, {}, {:#010x} }}", i.op, i.jt, i.jf, i.k); }

 private:
  template <class... T>
  void print(fmt::format_string<const T&...> format, const T&... values) const {
    fmt::format_to(std::back_inserter(text_), format, values...);
  }

  void print(const condition& c) const {
    if (c.name.empty()) return;
    print(",{}", c.first);
    if (c.second != 0) print(",{}", c.second);
  }

  // Writes the name. False: the name is empty, and no operand may follow.
  bool name(std::string_view name) const {
    if (name.empty()) {
      print("unknown instruction");
      return false;
    }
    print("{} ", name);
    return true;
  }

  // Writes the name of a load into A ("ld"), or of the same load into X ("ldx").
  bool name(std::string_view for_a, reg which) const {
    if (which == reg::a) return name(for_a);
    if (which != reg::x) return name({});
    print("{}x ", for_a);
    return true;
  }

  fmt::memory_buffer& text_;
};

}  // namespace

std::string to_string(const instruction& one) {
  fmt::memory_buffer text;
  std::visit(writer(text), one);
  return fmt::to_string(text);
}

}  // namespace uring6::inline v0::bpf
