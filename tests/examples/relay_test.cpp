// The relay of examples/: trains, single datagrams and its end, at plain sockets; and logger's messages at two syslog
// sinks behind it.
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "examples/plain_socket.hpp"
#include "examples/showcase.hpp"
#include "interop/daemons.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/process/program.hpp"
#include "support/traffic/plain_sender.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

const endpoint relay_address{ip_address::loopback(), showcase_port};

/// A socket that the relay sends to.
struct receiving_socket {
  receiving_socket() {
    const sockaddr_in6 any = endpoint{ip_address::loopback(), 0}.to_sockaddr();
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
    name = or_throw(local_endpoint(fd.get()));
  }
  std::string next() const {
    endpoint source;
    std::string text = receive(fd, source);
    CHECK(source == relay_address);
    return text;
  }

  file_descriptor fd = datagram_client();
  endpoint name;
};

/// A relay to these receivers, ready to receive.
struct running_relay {
  explicit running_relay(const std::vector<std::string>& receivers) : process(words(receivers)) {
    REQUIRE(eventually([] { return listeners("udp6") == 1; }));
  }
  static std::vector<std::string> words(const std::vector<std::string>& receivers) {
    std::vector<std::string> all{EXAMPLE_RELAY, relay_address.to_string()};
    all.insert(all.end(), receivers.begin(), receivers.end());
    return all;
  }

  program process;
};

/// The number of a datagram, in as many octets.
std::string numbered_text(int number, std::size_t length) {
  std::string text = std::to_string(number) + ":";
  text.resize(length, '.');
  return text;
}

TEST_CASE("the relay sends a train on to each receiver, datagram by datagram and in order") {
  constexpr int count = 20;
  constexpr std::size_t length = 100;
  constexpr std::size_t last_length = 60;
  const network_namespace space;
  const auto inside = space.enter();
  const std::array<receiving_socket, 3> receivers;
  running_relay relay({receivers[0].name.to_string(), receivers[1].name.to_string(), receivers[2].name.to_string()});

  std::string train;
  for (int i = 0; i < count; ++i) train += numbered_text(i, i + 1 < count ? length : last_length);
  plain_sender sender(relay_address);
  sender.send_train(as_payload(train), length);
  for (const receiving_socket& each : receivers) {
    for (int i = 0; i < count; ++i) CHECK(each.next() == numbered_text(i, i + 1 < count ? length : last_length));
  }
  relay.process.send_signal(SIGTERM);
  const program_end how = relay.process.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.errors.empty());
  CHECK(how.output == "20 received, 60 sent on, 0 not sent, 0 dropped\n");
}

TEST_CASE("the relay sends empty, short and long datagrams on, each as it came") {
  const network_namespace space;
  const auto inside = space.enter();
  const receiving_socket receiver;
  running_relay relay({receiver.name.to_string()});
  plain_sender sender(relay_address);
  const std::vector<std::string> texts{"", "one", numbered_text(2, 1'400), "", "x", "y", "z", "longer than these", ""};
  for (const std::string& each : texts) sender.send(each);
  for (const std::string& each : texts) CHECK(receiver.next() == each);
}

TEST_CASE("a receiver without a route is named once, and takes no datagram from the others") {
  const network_namespace space;
  const auto inside = space.enter();
  const std::array<receiving_socket, 2> receivers;
  running_relay relay({receivers[0].name.to_string(), "[2001:db8::9]:7", receivers[1].name.to_string()});
  plain_sender sender(relay_address);
  for (const char* text : {"first", "second", "third"}) {
    sender.send(text);
    // Each is a batch of its own: the relay has sent one on before the next is written.
    for (const receiving_socket& each : receivers) CHECK(each.next() == text);
  }
  relay.process.send_signal(SIGTERM);
  const program_end how = relay.process.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.errors == "relay: [2001:db8::9]:7: Network is unreachable\n");
  CHECK(how.output == "3 received, 6 sent on, 3 not sent, 0 dropped\n");
}

TEST_CASE("at SIGTERM the relay sends on what has arrived, and then ends") {
  constexpr int count = 200;
  const network_namespace space;
  const auto inside = space.enter();
  const std::array<receiving_socket, 2> receivers;
  running_relay relay({receivers[0].name.to_string(), receivers[1].name.to_string()});
  plain_sender sender(relay_address);
  relay.process.send_signal(SIGSTOP);
  REQUIRE(eventually([&] { return is_stopped(relay.process.id()); }));
  for (int i = 0; i < count; ++i) sender.send(numbered_text(i, 16));
  relay.process.send_signal(SIGTERM);
  relay.process.send_signal(SIGCONT);
  for (const receiving_socket& each : receivers) {
    for (int i = 0; i < count; ++i) CHECK(each.next() == numbered_text(i, 16));
  }
  const program_end how = relay.process.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.output == "200 received, 400 sent on, 0 not sent, 0 dropped\n");
}

TEST_CASE("logger's message arrives at each syslog sink behind the relay") {
  const std::string logger = installed("logger");
  constexpr std::array<std::uint16_t, 2> ports{7778, 7779};
  const network_namespace space;
  const auto inside = space.enter();
  const std::array<output_in_memory, 2> printed;
  program first({EXAMPLE_SYSLOG_SINK, "[::1]:7778"}, {.output_file = printed[0].name});
  program second({EXAMPLE_SYSLOG_SINK, "[::1]:7779"}, {.output_file = printed[1].name});
  REQUIRE(eventually([&] { return listeners("udp6", ports[0]) == 1 && listeners("udp6", ports[1]) == 1; }));
  const running_relay relay({"[::1]:7778", "[::1]:7779"});
  const program_end sent = run_program({logger, "--udp", "--server", "::1", "--port", "7777", "--rfc5424", "--priority",
                                        "local0.warning", "--tag", "showcase", "through the relay"});
  CHECK(sent.errors.empty());
  for (const output_in_memory& each : printed) {
    REQUIRE(eventually([&] { return each.text().ends_with("through the relay\n"); }));
    CHECK(each.text().starts_with("::1 16.warning 1 "));
  }
}

TEST_CASE("the relay prints its usage when it has no receiver, and an error for a malformed address") {
  const program_end none = run_program({EXAMPLE_RELAY, "[::1]:0"});
  CHECK(none.exit_status == 2);
  CHECK(none.errors == "usage: relay ADDRESS RECEIVER...\n");
  const program_end wrong = run_program({EXAMPLE_RELAY, "[::1]:0", "::1"});
  CHECK(wrong.exit_status == 1);
  CHECK(wrong.errors.starts_with("relay: "));
  CHECK(wrong.output.empty());
}

}  // namespace
