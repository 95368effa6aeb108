// Subjects against the harness's check of every datagram, in windows that are too short to measure anything.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>
#include <thread>

#include "cases/cases.hpp"

using namespace bench;

namespace {

std::unique_ptr<contest> contest_of(const std::string& name) {
  const bool alone = std::thread::hardware_concurrency() < 2;
  for (auto& each : all_contests({.harness = 0, .subject = alone ? 0 : 1})) {
    if (each->name() == name) return std::move(each);
  }
  FAIL("there is no case " << name);
  return nullptr;
}

/// Runs a window of each subject of this project and of plain C.
void play(const std::string& name, std::size_t at_least = 3) {
  const auto game = contest_of(name);
  std::size_t played = 0;
  for (const entrant& who : game->entrants()) {
    if (!who.subject.starts_with("raw ") && !who.subject.starts_with("uring6 ")) continue;
    INFO(name << ": " << who.subject);
    const auto track = game->open(who, who.vectors.back());
    const window w = track->run(std::chrono::milliseconds(1));
    CHECK(w.loss.received > 0);
    CHECK(w.loss.explained());
    CHECK(w.value > 0);
    ++played;
  }
  CHECK(played >= at_least);
}

/// UDP sockets at this port.
std::size_t sockets_at(std::uint16_t port) {
  std::ifstream table("/proc/net/udp6");
  std::string line, slot, local;
  std::size_t count = 0;
  while (std::getline(table, line)) {
    std::istringstream(line) >> slot >> local;
    if (local.ends_with(fmt::format(":{:04X}", port))) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("every_relay_sends_each_packet_to_all_peers_in_order") {
  play("relay-64");
  play("relay-1200");
}

TEST_CASE("every_echo_server_answers_each_of_many_clients") {
  play("echo-run-many");
  play("echo-run-many-plain");
}

TEST_CASE("every_echo_server_answers_datagrams_that_come_singly") {
  play("echo-run-single");
}

TEST_CASE("every_echo_server_of_two_loops_answers_10000_peers") {
  play("echo-peers-loops", 2);
}

TEST_CASE("a_server_of_two_loops_has_two_sockets_at_its_port") {
  const auto game = contest_of("echo-peers-loops");
  for (const entrant& who : game->entrants()) {
    INFO(who.subject);
    const auto track = game->open(who, who.vectors.back());
    CHECK(sockets_at(track->counted().front()->ports().front()) == 2);
  }
}

TEST_CASE("every_name_server_answers_as_expected") {
  play("dns");
}

TEST_CASE("every_forwarder_brings_each_answer_back_to_its_client") {
  play("forward");
}

TEST_CASE("every_tcp_server_echoes_to_each_of_its_connections") {
  for (const char* name : {"tcp-echo-1", "tcp-echo-64", "tcp-stream", "tcp-churn"}) play(name);
}

TEST_CASE("every_receiver_reads_a_filled_socket") {
  for (const char* name : {"drain-64", "drain-64-cm", "train-64"}) play(name);
}

TEST_CASE("every_subscription_sees_all_datagrams_of_a_filled_socket") {
  play("subscribe-64", 4);
  play("subscribe-train-64", 4);
}

TEST_CASE("every_sender_sends_to_all_its_peers") {
  for (const char* name : {"send-64", "send-64-run", "fan-out-64"}) play(name);
}
