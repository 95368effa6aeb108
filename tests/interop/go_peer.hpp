// The peer in Go (go/main.go), and the two hosts of its tests.
#pragma once

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "support/traffic/conns.hpp"

namespace uring6::test {

inline ip_address parse(std::string_view text) {
  return or_throw(ip_address::parse(text));
}

inline void need_go() {
  if (std::string_view(GO_PEER).empty()) SKIP("no Go (Debian, Ubuntu: golang-go golang-golang-x-net-dev)");
}

/// A running peer, in the network namespace of the thread that started it.
class go_peer {
 public:
  explicit go_peer(std::vector<std::string> words) {
    words.insert(words.begin(), GO_PEER);
    program_.emplace(words, program_settings{.output_file = file_.name});
  }

  /// Waits until the peer has said "ready" for the `nth` time, and returns its port.
  std::uint16_t port(int nth = 1) {
    unsigned number = 0;
    const bool ready = eventually(
        [&] {
          std::ifstream in(file_.name);
          int seen = 0;
          for (std::string line; std::getline(in, line);) {
            if (line.starts_with("ready ") && !in.eof() && ++seen == nth) {
              number = static_cast<unsigned>(std::stoul(line.substr(6)));
              return true;
            }
          }
          return false;
        },
        std::chrono::seconds(60));
    if (!ready) FAIL("the Go peer is not ready: " << program_->wait().errors);
    return static_cast<std::uint16_t>(number);
  }

  /// Waits for its end, and returns its output after the last "ready".
  std::vector<std::string> lines() {
    const program_end end = program_->wait();
    CHECK(end.errors == "");
    CHECK(end.exit_status == 0);
    std::vector<std::string> all;
    std::ifstream in(file_.name);
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("ready ")) all.push_back(line);
    }
    return all;
  }

  /// Waits for its end, which must be a failure, and returns its reason.
  std::string failure() {
    const program_end end = program_->wait();
    CHECK(end.exit_status == 1);
    return end.errors;
  }

 private:
  struct temporary_file {
    temporary_file() { (void)::close(::mkstemp(name.data())); }
    ~temporary_file() { (void)::unlink(name.c_str()); }
    std::string name = "/tmp/uring6-go-XXXXXX";
  };
  temporary_file file_;
  std::optional<program> program_;
};

/// uring6 at the near end of a cable, Go at the far one. Both have two addresses.
struct neighbours {
  neighbours() {
    // Deprecated: the kernel does not choose this address by itself.
    const address_options asked_for_only{.preferred = 0};
    cable.near.space.run([&] { add_address(cable.near.link.index, near_second, 64, asked_for_only); });
    cable.far.space.run([&] { add_address(cable.far.link.index, far_second, 64, asked_for_only); });
  }
  packet_conn open(std::string_view network, std::string_view address) {
    auto pc = cable.near.space.run([&] { return or_throw(listen_packet(loop, network, address)); });
    or_throw(pc.set_control_message(all_control, true));
    return pc;
  }
  go_peer start(const std::vector<std::string>& words) {
    return cable.far.space.run([&] { return go_peer(words); });
  }

  ip_address near_second = parse("2001:db8::11");
  ip_address far_second = parse("2001:db8::22");
  veth_pair cable;
  event_loop loop;
};

}  // namespace uring6::test
