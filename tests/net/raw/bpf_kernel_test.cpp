// The VM and the checker against the kernel: the same programs, attached to a UDP socket on ::1.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

#include "uring6/bpf.hpp"

namespace bpf = uring6::bpf;
using bpf::alu_op;
using bpf::extension;
using bpf::jump_test;
using bpf::reg;
using bpf::width;

namespace {

constexpr std::size_t udp_header_size = 8;
using bytes = std::vector<std::byte>;

void require(bool succeeded, const char* what) {
  if (!succeeded) throw std::system_error(errno, std::generic_category(), what);
}

class udp_socket {
 public:
  udp_socket() : fd_(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    require(fd_ >= 0, "socket");
    sockaddr_in6 any_port{};
    any_port.sin6_family = AF_INET6;
    any_port.sin6_addr = in6addr_loopback;
    require(::bind(fd_, reinterpret_cast<const sockaddr*>(&any_port), sizeof any_port) == 0, "bind");
    socklen_t length = sizeof address_;
    require(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &length) == 0, "getsockname");
    // Without UDP checksums every byte of the header that the filter sees is known.
    const int on = 1;
    require(::setsockopt(fd_, IPPROTO_UDP, 101 /* UDP_NO_CHECK6_TX */, &on, sizeof on) == 0, "UDP_NO_CHECK6_TX");
    require(::setsockopt(fd_, IPPROTO_UDP, 102 /* UDP_NO_CHECK6_RX */, &on, sizeof on) == 0, "UDP_NO_CHECK6_RX");
  }
  udp_socket(const udp_socket&) = delete;
  udp_socket& operator=(const udp_socket&) = delete;
  ~udp_socket() { ::close(fd_); }

  const sockaddr_in6& address() const { return address_; }

  int attach(std::span<const bpf::raw_instruction> program) const {
    sock_fprog filter{};
    filter.len = static_cast<unsigned short>(program.size());
    bpf::raw_program copy(program.begin(), program.end());
    filter.filter = reinterpret_cast<sock_filter*>(copy.data());
    return ::setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 ? 0 : errno;
  }

  void send_to(const sockaddr_in6& peer, const bytes& payload) const {
    const auto sent =
        ::sendto(fd_, payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
    require(sent == static_cast<ssize_t>(payload.size()), "sendto");
  }

  // Returns the size of the datagram that the filter let through, or nothing if the kernel has counted it as dropped.
  std::optional<std::size_t> receive_or_drop(std::uint32_t drops_before) const {
    for (int rounds = 0; rounds < 1000; ++rounds) {
      std::array<std::byte, 2048> buffer;
      const auto got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got >= 0) return static_cast<std::size_t>(got);
      require(errno == EAGAIN, "recv");
      if (drops() != drops_before) return std::nullopt;
      pollfd readable{fd_, POLLIN, 0};
      ::poll(&readable, 1, 10);
    }
    throw std::runtime_error("the datagram was neither delivered nor dropped");
  }

  std::uint32_t drops() const {
    std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
    socklen_t length = sizeof memory;
    require(::getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, memory.data(), &length) == 0, "SO_MEMINFO");
    return memory[SK_MEMINFO_DROPS];
  }

 private:
  int fd_;
  sockaddr_in6 address_{};
};

class kernel {
 public:
  int attach(std::span<const bpf::raw_instruction> program) const { return receiver_.attach(program); }

  std::optional<std::size_t> deliver(const bytes& payload) const {
    const std::uint32_t drops = receiver_.drops();
    sender_.send_to(receiver_.address(), payload);
    return receiver_.receive_or_drop(drops);
  }

  // The packet as the filter sees it: UDP header (RFC 768) and payload.
  bytes packet(const bytes& payload) const {
    const auto length = static_cast<std::uint16_t>(udp_header_size + payload.size());
    const std::array<std::uint16_t, 4> header{sender_.address().sin6_port, receiver_.address().sin6_port, htons(length),
                                              0};
    bytes all(udp_header_size);
    std::memcpy(all.data(), header.data(), sizeof header);
    all.insert(all.end(), payload.begin(), payload.end());
    return all;
  }

 private:
  udp_socket sender_;
  udp_socket receiver_;
};

// Returns how much of the payload the kernel delivers when the program returns `kept`: never less than the UDP header.
std::optional<std::size_t> delivered_size(std::uint32_t kept, std::size_t payload_size) {
  if (kept == 0) return std::nullopt;
  const std::size_t all = udp_header_size + payload_size;
  return std::max(udp_header_size, std::min<std::size_t>(all, kept)) - udp_header_size;
}

bytes payload_of(std::size_t size) {
  bytes payload(size);
  for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::byte>(0x40 + 7 * i);
  return payload;
}

bpf::program returning_a(bpf::program body) {
  body.push_back(bpf::ret_a{});
  return body;
}

// A random instruction that the kernel may accept: small offsets, so that some loads are inside of the packet and some
// outside.
bpf::instruction random_instruction(std::mt19937& random, std::size_t behind) {
  const auto below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  const auto any_width = [&] { return std::array{width::byte, width::half, width::word}[below(3)]; };
  const auto any_reg = [&] { return below(2) == 0 ? reg::a : reg::x; };
  const auto any_slot = [&] { return static_cast<std::uint8_t>(below(3)); };
  const auto any_op = [&] {
    return std::array{
        alu_op::add,     alu_op::sub,        alu_op::mul,         alu_op::div, alu_op::bit_or,
        alu_op::bit_and, alu_op::shift_left, alu_op::shift_right, alu_op::mod, alu_op::bit_xor}[below(10)];
  };
  const auto any_value = [&]() -> std::uint32_t {
    const std::array<std::uint32_t, 8> values{0, 1, 2, 31, 32, 0x80000000, 0xffffffff, below(0x10000)};
    return values[below(values.size())];
  };
  const auto any_skip = [&] {
    return static_cast<std::uint8_t>(below(static_cast<std::uint32_t>(std::min<std::size_t>(behind, 4))));
  };
  const auto any_test = [&] { return static_cast<jump_test>(below(8)); };
  switch (below(14)) {
    case 0:
      return bpf::load_constant{any_reg(), any_value()};
    case 1:
      return bpf::load_scratch{any_reg(), any_slot()};
    case 2:
      return bpf::load_absolute{below(40), any_width()};
    case 3:
      return bpf::load_indirect{below(16), any_width()};
    case 4:
      return bpf::load_mem_shift{below(40)};
    case 5:
      return bpf::load_extension{extension::length};
    case 6:
      return bpf::store_scratch{any_reg(), any_slot()};
    case 7:
      return bpf::alu_op_constant{any_op(), any_value()};
    case 8:
      return bpf::alu_op_x{any_op()};
    case 9:
      return bpf::negate_a{};
    case 10:
      return bpf::jump_if{any_test(), any_value(), any_skip(), any_skip()};
    case 11:
      return bpf::jump_if_x{any_test(), any_skip(), any_skip()};
    case 12:
      return bpf::txa{};
    default:
      return bpf::tax{};
  }
}

bpf::program random_program(std::mt19937& random) {
  bpf::program program;
  const std::size_t length = 2 + random() % 14;
  while (program.size() + 1 < length) {
    const auto one = random_instruction(random, length - program.size() - 1);
    // An index that wraps into the network header reads octets that the VM does not have.
    if (std::holds_alternative<bpf::load_indirect>(one)) {
      if (program.size() + 2 >= length) continue;
      program.push_back(bpf::load_constant{reg::x, static_cast<std::uint32_t>(random() % 32)});
    }
    program.push_back(one);
  }
  program.push_back(bpf::ret_a{});
  return program;
}

}  // namespace

TEST_CASE("bpf kernel: the VM accepts, cuts and drops what the kernel does") {
  const std::vector<bpf::program> programs{
      {bpf::ret_constant{0}},
      {bpf::ret_constant{1}},
      {bpf::ret_constant{8}},
      {bpf::ret_constant{12}},
      {bpf::ret_constant{0xffffffff}},
      returning_a({bpf::load_extension{extension::length}}),
      returning_a({bpf::load_extension{extension::length}, bpf::alu_op_constant{alu_op::sub, 3}}),
      {bpf::load_absolute{8, width::byte}, bpf::jump_if{jump_test::equal, 0x40, 0, 1}, bpf::ret_constant{0xffff},
       bpf::ret_constant{0}},
      {bpf::load_absolute{8, width::word}, bpf::ret_constant{0xffff}},
      {bpf::load_absolute{4, width::half}, bpf::jump_if{jump_test::greater_than, 12, 1, 0}, bpf::ret_constant{9},
       bpf::ret_constant{10}},
      returning_a({bpf::load_constant{reg::x, 0xffffffff}, bpf::load_indirect{6, width::byte}}),
      returning_a({bpf::load_constant{reg::x, 3}, bpf::load_indirect{7, width::byte}}),
      returning_a({bpf::load_mem_shift{9}, bpf::txa{}}),
      {bpf::load_mem_shift{100}, bpf::ret_constant{0xffff}},
      returning_a({bpf::load_constant{reg::a, 1}, bpf::load_constant{reg::x, 35}, bpf::alu_op_x{alu_op::shift_left}}),
      returning_a({bpf::load_constant{reg::a, 80}, bpf::load_constant{reg::x, 35}, bpf::alu_op_x{alu_op::shift_right}}),
      {bpf::load_constant{reg::a, 5}, bpf::alu_op_x{alu_op::div}, bpf::ret_constant{0xffff}},
      {bpf::load_constant{reg::a, 5}, bpf::alu_op_x{alu_op::mod}, bpf::ret_constant{0xffff}},
      returning_a({bpf::load_constant{reg::a, 0xfffffff6}, bpf::negate_a{}}),
      returning_a({bpf::load_extension{extension::protocol}, bpf::alu_op_constant{alu_op::sub, 0x86dd - 11}}),
      returning_a({bpf::raw_instruction{0x81, 0, 0, 0}, bpf::txa{}}),
      {bpf::load_absolute{0x80000000, width::byte}, bpf::ret_constant{0xffff}},
  };
  const kernel k;
  for (std::size_t i = 0; i < programs.size(); ++i) {
    const auto vm = uring6::or_throw(bpf::vm::create(programs[i]));
    REQUIRE(k.attach(uring6::or_throw(bpf::assemble(programs[i]))) == 0);
    for (const std::size_t size : {0U, 1U, 4U, 5U, 64U}) {
      INFO("program " << i << ", payload of " << size);
      const bytes payload = payload_of(size);
      CHECK(k.deliver(payload) == delivered_size(vm.run(k.packet(payload)), size));
    }
  }
}

TEST_CASE("bpf kernel: random programs end in the VM as in the kernel") {
  std::mt19937 random(20260);
  const kernel k;
  const bytes payload = payload_of(24);
  const bytes packet = k.packet(payload);
  int delivered = 0;
  int dropped = 0;
  for (int i = 0; i < 2000; ++i) {
    const bpf::program program = random_program(random);
    const auto raw = uring6::or_throw(bpf::assemble(program));
    const auto vm = bpf::vm::create(raw);
    INFO("program " << i);
    REQUIRE(k.attach(raw) == (vm ? 0 : EINVAL));
    if (!vm) continue;
    const auto expected = delivered_size(vm->run(packet), payload.size());
    REQUIRE(k.deliver(payload) == expected);
    ++(expected ? delivered : dropped);
  }
  // The comparison is worth something only if datagrams were delivered and datagrams were dropped.
  CHECK(delivered > 100);
  CHECK(dropped > 100);
}

TEST_CASE("bpf kernel: the checker refuses each program that the kernel refuses, and no other") {
  std::mt19937 random(4096);
  const kernel k;
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    auto raw = uring6::or_throw(bpf::assemble(random_program(random)));
    for (auto changes = random() % 3; changes > 0; --changes) {
      bpf::raw_instruction& one = raw[random() % raw.size()];
      switch (random() % 4) {
        case 0:
          one.op = static_cast<std::uint16_t>(random() % 0x100);
          break;
        case 1:
          one.jt = static_cast<std::uint8_t>(random() % 16);
          break;
        case 2:
          one.k = static_cast<std::uint32_t>(random() % 34);
          break;
        default:
          one.k = 0xfffff000 + static_cast<std::uint32_t>(random() % 70);
          break;
      }
    }
    const auto checked = bpf::check(raw);
    INFO("program " << i << ": " << (checked ? "accepted" : checked.error().message()));
    REQUIRE(k.attach(raw) == (checked ? 0 : EINVAL));
    ++(checked ? accepted : refused);
  }
  CHECK(accepted > 1000);
  CHECK(refused > 1000);
}

TEST_CASE("bpf kernel: every operation code is known to both or to neither") {
  const kernel k;
  for (unsigned op = 0; op <= 0x1ff; ++op) {
    const std::vector<bpf::raw_instruction> raw{
        {0x02, 0, 0, 1}, {static_cast<std::uint16_t>(op), 0, 0, 1}, {0x06, 0, 0, 0xffff}, {0x06, 0, 0, 0}};
    INFO("operation code " << op);
    CHECK(k.attach(raw) == (bpf::check(raw) ? 0 : EINVAL));
  }
}
