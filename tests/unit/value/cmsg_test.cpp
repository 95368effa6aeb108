#include "ipv6/value/cmsg.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <ctime>
#include <limits>

#include "support/traffic/control_bytes.hpp"

namespace uring6 {
namespace {

using test::append;
using test::bytes;
using test::pktinfo;

constexpr ip_address group = ip_address::all_nodes();
constexpr ip_address here = ip_address::loopback();

// Where one control message of `received_set` begins and where its value ends.
struct extent {
  std::size_t begin;
  std::size_t end;
};

enum received_index : std::size_t { arrival, gro, destination, hop_limit, traffic_class };

// Every control message that the kernel adds to a datagram, in its order; `known` has the decoder's result.
struct received_set {
  bytes all;
  std::array<extent, 5> known{};

  received_set() {
    add(arrival, SOL_SOCKET, SO_TIMESTAMPNS_NEW, timespec{1, 2});
    append(all, SOL_SOCKET, SO_TIMESTAMPING, std::array<timespec, 3>{});
    append(all, SOL_SOCKET, SO_RXQ_OVFL, std::uint32_t{7});
    add(gro, IPPROTO_UDP, UDP_GRO, 1200);
    add(destination, IPPROTO_IPV6, IPV6_PKTINFO, pktinfo(group, 3));
    add(hop_limit, IPPROTO_IPV6, IPV6_HOPLIMIT, 64);
    add(traffic_class, IPPROTO_IPV6, IPV6_TCLASS, 0x28);
    append(all, IPPROTO_IPV6, 11 /* IPV6_FLOWINFO */, std::uint32_t{5});
    append(all, IPPROTO_IPV6, 74 /* IPV6_ORIGDSTADDR */, sockaddr_in6{});
    append(all, IPPROTO_IPV6, 77 /* IPV6_RECVFRAGSIZE */, 1280);
  }

  template <class T>
  void add(received_index which, int level, int type, const T& value) {
    known[which] = {all.size(), all.size() + sizeof(cmsghdr) + sizeof(T)};
    append(all, level, type, value);
  }
};

TEST_CASE("reads_all_that_the_kernel_delivers") {
  const received_set set;
  CHECK(set.all.size() == 328);
  received_control read;
  CHECK(decode_received(set.all, read));
  const std::chrono::sys_time<std::chrono::nanoseconds> arrived(std::chrono::nanoseconds(1'000'000'002));
  CHECK(
      read.message ==
      control_message{
          .traffic_class = 0x28, .hop_limit = 64, .interface_index = 3, .destination = group, .received_at = arrived});
  CHECK(read.gro_segment_size == 1200);
  CHECK(cmsg::decode(set.all) == read.message);
}

TEST_CASE("reads_at_any_alignment") {
  const received_set set;
  for (std::size_t shift = 0; shift < 8; ++shift) {
    bytes moved(shift);
    moved.insert(moved.end(), set.all.begin(), set.all.end());
    CHECK(cmsg::decode(std::span<const std::byte>(moved).subspan(shift)) == cmsg::decode(set.all));
  }
}

// The part of `set` that is decoded when it ends after `size` bytes.
void check_prefix(const received_set& set, std::size_t size, const received_control& read) {
  const auto whole = [&](received_index which) { return set.known[which].end <= size; };
  CAPTURE(size);
  CHECK(read.message.received_at.has_value() == whole(arrival));
  CHECK((read.gro_segment_size != 0) == whole(gro));
  CHECK(read.message.destination.has_value() == whole(destination));
  CHECK(read.message.interface_index.has_value() == whole(destination));
  CHECK(read.message.hop_limit.has_value() == whole(hop_limit));
  CHECK(read.message.traffic_class.has_value() == whole(traffic_class));
}

TEST_CASE("a_cut_at_any_byte_keeps_what_stands_before_it") {
  const received_set set;
  for (std::size_t size = 0; size <= set.all.size(); ++size) {
    // A buffer of exactly this size, so that AddressSanitizer sees a read behind it.
    const bytes cut(set.all.begin(), set.all.begin() + static_cast<std::ptrdiff_t>(size));
    received_control read;
    const bool well_formed = decode_received(cut, read);
    check_prefix(set, size, read);
    CHECK(cmsg::decode(cut).has_value() == well_formed);
    CHECK(cmsg::decode_prefix(cut) == read.message);
  }
}

TEST_CASE("a_cut_inside_a_value_is_malformed_and_one_between_messages_is_not") {
  bytes control;
  append(control, IPPROTO_IPV6, IPV6_HOPLIMIT, 64);
  append(control, IPPROTO_IPV6, IPV6_TCLASS, 0x28);
  const auto decode_first = [&](std::size_t size) {
    return cmsg::decode(std::span<const std::byte>(control).first(size)).has_value();
  };
  CHECK_FALSE(decode_first(19));  // inside the value of the first message
  CHECK(decode_first(20));        // the first message without its padding
  CHECK(decode_first(24));
  CHECK(decode_first(39));  // less than a header counts as padding
  CHECK_FALSE(decode_first(40));
  CHECK(decode_first(44));
}

TEST_CASE("the_kernels_own_cut_leaves_a_short_value_that_is_not_given") {
  // put_cmsg shortens the last message to the room that is left, and sets MSG_CTRUNC.
  const received_set set;
  for (const extent& last : set.known) {
    for (std::size_t size = last.begin + sizeof(cmsghdr); size < last.end; ++size) {
      bytes cut(set.all.begin(), set.all.begin() + static_cast<std::ptrdiff_t>(size));
      const std::size_t length = size - last.begin;
      std::memcpy(cut.data() + last.begin, &length, sizeof length);
      received_control read;
      CHECK(decode_received(cut, read));
      check_prefix(set, size, read);
    }
  }
}

constexpr std::size_t most = std::numeric_limits<std::size_t>::max();

TEST_CASE("a_hostile_length_reads_nothing_beyond_the_area") {
  const received_set set;
  const std::size_t length =
      GENERATE(values<std::size_t>({0, 1, 8, 15, 329, 1000, 0x7fffffff, 0x80000000, 0xffffffff, most / 2, most / 2 + 1,
                                    most - 24, most - 16, most - 15, most - 8, most - 7, most - 1, most}));
  for (const extent& hostile : set.known) {
    bytes control = set.all;
    std::memcpy(control.data() + hostile.begin, &length, sizeof length);
    CAPTURE(length, hostile.begin);
    CHECK(cmsg::decode(control) == fail(errc::malformed));
    received_control read;
    CHECK_FALSE(decode_received(control, read));
    check_prefix(set, hostile.begin, read);
  }
}

TEST_CASE("every_length_of_the_first_message_is_harmless") {
  const received_set set;
  for (std::size_t length = 0; length <= set.all.size() + 1; ++length) {
    bytes control = set.all;
    std::memcpy(control.data(), &length, sizeof length);
    const bool possible = length >= sizeof(cmsghdr) && length <= control.size();
    if (!possible) CHECK(cmsg::decode(control) == fail(errc::malformed));
    // With wrong steps through the rest the decoder still gives only values in range.
    const control_message read = cmsg::decode_prefix(control);
    CHECK(read.traffic_class.value_or(0) <= 255);
    CHECK(read.hop_limit.value_or(0) <= 255);
  }
}

TEST_CASE("a_gro_size_out_of_range_is_one_datagram") {
  const int value = GENERATE(-1, 0, 65536, std::numeric_limits<int>::min());
  bytes control;
  append(control, IPPROTO_UDP, UDP_GRO, value);
  received_control read;
  CHECK(decode_received(control, read));
  CHECK(read.gro_segment_size == 0);
}

TEST_CASE("a_reused_result_keeps_nothing_of_the_packet_before") {
  const received_set set;
  received_control read;
  read.message = {.traffic_class = 1,
                  .hop_limit = 2,
                  .interface_index = 3,
                  .path_mtu = 4,
                  .source = here,
                  .destination = here,
                  .next_hop = here,
                  .received_at = std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(6))};
  read.gro_segment_size = 5;
  CHECK(decode_received({}, read));
  CHECK(read.message == control_message{});
  CHECK(read.gro_segment_size == 0);
}

TEST_CASE("a_writer_refuses_what_does_not_fit") {
  bytes exact(cmsg::space(sizeof(int)));
  cmsg_writer writer(exact);
  CHECK(writer.append(IPPROTO_IPV6, IPV6_HOPLIMIT, 64));
  CHECK_FALSE(writer.append(IPPROTO_IPV6, IPV6_TCLASS, 1));
  CHECK(writer.size() == exact.size());
  CHECK(cmsg::decode(exact) == control_message{.hop_limit = 64});
}

}  // namespace
}  // namespace uring6
