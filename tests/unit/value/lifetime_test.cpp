// Views of a temporary's octets do not compile, or are copies.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp.hpp"

namespace {

using namespace uring6;

template <class Packet>
concept parsed = requires(Packet&& packet) {
  icmp::parse(static_cast<Packet&&>(packet));
};
template <class Packet>
concept verified = requires(Packet&& packet, ip_address end) {
  icmp::parse(static_cast<Packet&&>(packet), end, end);
};
template <class Packet>
concept searched = requires(Packet&& packet) {
  find_upper_layer(static_cast<Packet&&>(packet));
};
template <class Packet>
concept walked = requires(Packet&& packet) {
  header_walk::over(static_cast<Packet&&>(packet));
};
template <class Name>
concept shown = requires(Name&& name) {
  static_cast<Name&&>(name).wire();
};

template <class Packet>
constexpr int readers_of() {
  return parsed<Packet> + verified<Packet> + searched<Packet> + walked<Packet>;
}

TEST_CASE("readers of a packet in place refuse a packet that is destroyed at the end of the expression") {
  CHECK(readers_of<std::vector<std::byte>>() == 0);
  CHECK(readers_of<const std::vector<std::byte>>() == 0);
  CHECK(readers_of<std::array<std::byte, 48>>() == 0);
  CHECK(readers_of<std::vector<std::byte>&>() == 4);
  CHECK(readers_of<const std::array<std::byte, 48>&>() == 4);
  CHECK(readers_of<std::span<const std::byte>>() == 4);
  CHECK(readers_of<std::span<std::byte>>() == 4);
}

TEST_CASE("octets of a lasting address are a view, those of a temporary address are a copy") {
  CHECK(std::is_same_v<decltype(std::declval<const ip_address&>().bytes()), const ip_address::bytes_type&>);
  CHECK(std::is_same_v<decltype(std::declval<ip_address&>().bytes()), const ip_address::bytes_type&>);
  CHECK(std::is_same_v<decltype(ip_address().bytes()), ip_address::bytes_type>);
  CHECK(std::is_same_v<decltype(std::declval<const ip_address>().bytes()), ip_address::bytes_type>);
  CHECK(std::is_same_v<decltype(ip_address::parse("::1").value().bytes()), ip_address::bytes_type>);
  std::string seen;
  for (const auto octet : ip_address::parse("2001:db8::1").value().bytes()) seen += static_cast<char>(octet);
  CHECK(seen == std::string("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16));
}

TEST_CASE("a temporary name gives no octets, a temporary walk gives a copy of the fragment header") {
  CHECK(shown<const icmp::domain_name&>);
  CHECK_FALSE(shown<icmp::domain_name>);
  CHECK(std::is_same_v<decltype(std::declval<header_walk&>().fragment()), const std::optional<fragment_header>&>);
  CHECK(std::is_same_v<decltype(std::declval<header_walk>().fragment()), std::optional<fragment_header>>);
}

TEST_CASE("a list of a message is made of lasting values, or of a view, and not of a temporary container") {
  using addresses = icmp::list<ip_address>;
  CHECK(std::is_constructible_v<addresses, std::vector<ip_address>&>);
  CHECK(std::is_constructible_v<addresses, const std::array<ip_address, 2>&>);
  CHECK(std::is_constructible_v<addresses, std::span<const ip_address>>);
  CHECK_FALSE(std::is_constructible_v<addresses, std::vector<ip_address>>);
  CHECK_FALSE(std::is_constructible_v<addresses, std::array<ip_address, 2>>);
}

TEST_CASE("a batch is a single-pass range: its iterator gives no lasting references") {
  CHECK(std::input_iterator<datagram_batch::iterator>);
  CHECK_FALSE(std::forward_iterator<datagram_batch::iterator>);
}

}  // namespace
