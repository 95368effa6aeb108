// The sources of a dialed conn: it reads its peer only, from the first datagram on, and where the source addresses that
// it shows come from.
#include <dlfcn.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <system_error>

#include "support/case/coroutines.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"

namespace {

/// Called just before a socket of this thread is connected.
thread_local std::function<void(int fd)> before_connect;

}  // namespace

// Replaces the C library's function, so that a test can act between a socket's bind and its connect.
extern "C" int connect(int fd, const sockaddr* name, socklen_t length) {
  static const auto original = reinterpret_cast<decltype(&connect)>(::dlsym(RTLD_NEXT, "connect"));
  if (before_connect) before_connect(fd);
  return original(fd, name, length);
}

namespace {

using namespace uring6;
using namespace uring6::test;

void send_plainly(int from, std::string_view text, const endpoint& to) {
  const sockaddr_in6 name = to.to_sockaddr();
  REQUIRE(::sendto(from, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&name), sizeof name) ==
          static_cast<ssize_t>(text.size()));
}

/// Sets `before_connect` until the end of the scope.
class in_between {
 public:
  explicit in_between(std::function<void(int)> act) { before_connect = std::move(act); }
  in_between(const in_between&) = delete;
  in_between& operator=(const in_between&) = delete;
  ~in_between() { before_connect = nullptr; }
};

TEST_CASE("a dialed conn reads nothing that other senders sent between its bind and its connect") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool receive_offload : {false, true}) {
      CAPTURE(receive_offload);
      packet_conn peer = open_conn(loop);
      const file_descriptor stranger = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
      const packet_options options{.local = endpoint{ip_address::loopback(), 0}, .receive_offload = receive_offload};
      int sent_between = 0;
      packet_conn client = [&] {
        const in_between act([&](int fd) {
          for (; sent_between < 3; ++sent_between) {
            send_plainly(stranger.get(), "stranger", or_throw(local_endpoint(fd)));
          }
        });
        return dial(loop, name_of(peer), options);
      }();
      REQUIRE(sent_between == 3);
      CHECK(client.stats().kernel_drops == 0);  // they do not count as the conn's
      const auto sent = co_await peer.write_to(as_payload("peer"), name_of(client));
      REQUIRE(sent);
      std::array<std::byte, 64> buffer;
      const auto got = co_await client.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "peer");
      CHECK(got->source == name_of(peer));
    }
  });
}

TEST_CASE("a dialed raw conn reads nothing that other senders sent before its connect") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::string peer_address = cable.near.address.to_string();
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn peer = open_raw(loop, "ip6:253", peer_address.c_str());
    packet_conn stranger = open_raw(loop);
    bool sent_between = false;
    packet_conn client = [&] {
      const in_between act([&](int) {
        send_plainly(stranger.native_handle(), "stranger", to_loopback);
        sent_between = true;
      });
      return or_throw(dial_packet(loop, "ip6:253", peer_address));
    }();
    REQUIRE(sent_between);
    const endpoint client_address{or_throw(client.local_endpoint()).address, 0};  // connect has chosen the address
    const auto sent = co_await peer.write_to(as_payload("peer"), client_address);
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await client.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "peer");
  });
}

/// The program connects `client`'s descriptor to `elsewhere`; then the conn reads a datagram from there.
task<endpoint> source_after_reconnect(packet_conn& client, packet_conn& elsewhere) {
  or_throw(connect_socket(client.native_handle(), name_of(elsewhere)));
  const auto sent = co_await elsewhere.write_to(as_payload("elsewhere"), name_of(client));
  REQUIRE(sent);
  std::array<std::byte, 64> buffer;
  const auto got = co_await client.read_from(buffer);
  REQUIRE(got);
  CHECK(as_text(got->payload) == "elsewhere");
  co_return got->source;
}

TEST_CASE("a conn that asks for sources shows the kernel's source after its descriptor was connected elsewhere") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn peer = open_conn(loop);
    packet_conn elsewhere = open_conn(loop);
    SECTION("adopted") {
      file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
      or_throw(connect_socket(fd.get(), name_of(peer)));
      packet_conn client = or_throw(adopt_packet(loop, fd.release(), {.receive_offload = false}));
      const endpoint source = co_await source_after_reconnect(client, elsewhere);
      CHECK(source == name_of(elsewhere));
    }
    SECTION("dialed without receive_offload") {
      packet_conn client = dial(loop, name_of(peer), {.receive_offload = false});
      or_throw(client.set_control_message(control_flags::source, true));
      const endpoint source = co_await source_after_reconnect(client, elsewhere);
      CHECK(source == name_of(elsewhere));
    }
  });
}

TEST_CASE("an adopted conn counts the datagrams that the kernel drops after the adoption") {
  event_loop loop;
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
  const endpoint here = or_throw(local_endpoint(fd.get()));
  const file_descriptor from = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const std::array refuse_all{bpf::instruction(bpf::ret_constant{0})};
  packet_conn before = or_throw(borrow_packet(loop, fd.get()));
  or_throw(before.attach_bpf(std::span<const bpf::instruction>(refuse_all)));
  for (int i = 0; i < 5; ++i) send_plainly(from.get(), "dropped", here);
  REQUIRE(before.stats().kernel_drops == 5);
  packet_conn adopted = or_throw(adopt_packet(loop, fd.release()));
  CHECK(adopted.stats().kernel_drops == 0);
  for (int i = 0; i < 2; ++i) send_plainly(from.get(), "dropped", here);
  CHECK(adopted.stats().kernel_drops == 2);
  CHECK(before.stats().kernel_drops == 7);
}

constexpr int filter_length = 3;  // instructions

std::error_code attach_filter(int fd, const endpoint&) {
  sock_filter keep_all[filter_length] = {
      {BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 0xffff}, {BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{filter_length, keep_all};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0) return {};
  return {errno, std::system_category()};
}

std::error_code attach_and_lock_filter(int fd, const endpoint& address) {
  if (const auto error = attach_filter(fd, address)) return error;
  const int on = 1;
  if (::setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0) return {};
  return {errno, std::system_category()};
}

TEST_CASE("a filter that a hook attaches stays on a dialed conn, locked or not") {
  event_loop loop;
  packet_conn peer = open_conn(loop);
  const auto plain = [](int fd, const endpoint& address) { return attach_filter(fd, address); };
  const auto locked = [](int fd, const endpoint& address) { return attach_and_lock_filter(fd, address); };
  for (const opening_hook& hook : {opening_hook(plain), opening_hook(locked)}) {
    const auto client = dial_packet(loop, "udp6", name_of(peer), {.control = hook});
    REQUIRE(client);
    socklen_t instructions = 0;
    REQUIRE(::getsockopt(client->native_handle(), SOL_SOCKET, SO_GET_FILTER, nullptr, &instructions) == 0);
    CHECK(instructions == filter_length);
  }
}

/// Loads a socket filter of eBPF that keeps the first `length` octets of each packet, 0: none. Nothing without the
/// privilege (CAP_BPF, or kernel.unprivileged_bpf_disabled = 0). bpf(2)
file_descriptor load_ebpf_filter(std::int32_t length) {
  const std::array<bpf_insn, 2> program{
      {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = length},
       {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}}};
  bpf_attr what{};
  what.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  what.insn_cnt = program.size();
  what.insns = reinterpret_cast<std::uintptr_t>(program.data());
  what.license = reinterpret_cast<std::uintptr_t>("GPL");
  // EAGAIN: a signal, or work that a ring has put off to this thread, interrupted the verifier.
  const auto load = [&] { return static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &what, sizeof what)); };
  file_descriptor loaded(load());
  while (!loaded && errno == EAGAIN) loaded = file_descriptor(load());
  if (!loaded && errno != EPERM) throw std::system_error(errno, std::system_category(), "bpf");
  return loaded;
}

std::error_code attach_ebpf_filter(int fd, const file_descriptor& program) {
  const int of = program.get();
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &of, sizeof of) == 0) return {};
  return {errno, std::system_category()};
}

/// The kernel does not give an eBPF filter out, but says that one is there.
bool has_ebpf_filter(int fd) {
  socklen_t instructions = 0;
  return ::getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, nullptr, &instructions) != 0 && errno == EACCES;
}

TEST_CASE("an eBPF filter that a hook attaches stays on a dialed conn, which hears its peer and no stranger") {
  const file_descriptor keep_all = load_ebpf_filter(-1);
  if (!keep_all) SKIP("bpf(2) is not permitted");
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn peer = open_conn(loop);
    const file_descriptor stranger = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
    const auto attach = [&](int fd, const endpoint&) { return attach_ebpf_filter(fd, keep_all); };
    constexpr int strangers = 3;  // datagrams
    packet_conn client = [&] {
      const in_between act([&](int fd) {
        REQUIRE(has_ebpf_filter(fd));
        for (int i = 0; i < strangers; ++i) send_plainly(stranger.get(), "stranger", or_throw(local_endpoint(fd)));
      });
      return dial(loop, name_of(peer), {.local = endpoint{ip_address::loopback(), 0}, .control = attach});
    }();
    CHECK(has_ebpf_filter(client.native_handle()));
    const auto sent = co_await peer.write_to(as_payload("peer"), name_of(client));
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await client.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "peer");
    CHECK(client.stats().received_datagrams == 1);
    CHECK(client.stats().kernel_drops == 0);
  });
}

TEST_CASE("an adopted or borrowed socket keeps its eBPF filter, and what that drops is counted") {
  const file_descriptor keep_none = load_ebpf_filter(0);
  if (!keep_none) SKIP("bpf(2) is not permitted");
  event_loop loop;
  const file_descriptor from = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  for (const bool borrowed : {false, true}) {
    CAPTURE(borrowed);
    file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
    or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
    const endpoint here = or_throw(local_endpoint(fd.get()));
    REQUIRE_FALSE(attach_ebpf_filter(fd.get(), keep_none));
    packet_conn at = or_throw(borrowed ? borrow_packet(loop, fd.get()) : adopt_packet(loop, fd.release()));
    CHECK(has_ebpf_filter(at.native_handle()));
    for (int i = 0; i < 2; ++i) send_plainly(from.get(), "dropped", here);
    CHECK(at.stats().kernel_drops == 2);
    REQUIRE(at.detach_bpf());
    CHECK_FALSE(has_ebpf_filter(at.native_handle()));
  }
}

}  // namespace
