// Fetches a file by HTTP/3.
//
//     quic_client ADDRESS:PORT TRUSTED NAME PATH FILE [NEW-ADDRESS OCTETS]
//     such as: quic_client [::1]:4433 cert.pem localhost /big.bin big.bin
//
// TRUSTED is a file of certificates, NAME the name or address in the server's certificate. With NEW-ADDRESS, an address
// of this host, the connection moves there once so many octets of the file have come.
#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <uring6/uring6.hpp>
#include <utility>

#include "connection.hpp"
#include "endpoint.hpp"

namespace u6 = uring6;

namespace {

struct move_order {
  u6::ip_address to;
  std::uint64_t after = 0;  // octets of the file
};

struct order {
  u6::endpoint server;
  std::string host;  // in the server's certificate
  std::string path;
  std::optional<move_order> move{};
};

struct close_file {
  void operator()(std::FILE* which) const { std::fclose(which); }
};
using output = std::unique_ptr<std::FILE, close_file>;

class download final : public quic::connection {
 public:
  download(const order& what, const quic::credentials& trust, output& to, quic::connection_ids& ids,
           const u6::endpoint& local, quic::time_point now)
      : connection(quic::tls_session::role::client, trust, ids), order_(&what), to_(&to), local_(local) {
    tls().require_host(what.host);
    open_client(quic::path(local, what.server), now);
  }

  bool complete() const { return complete_; }
  const std::string& status() const { return status_; }
  std::uint64_t octets() const { return octets_; }

 private:
  void on_ready() override {
    const int opened = ngtcp2_conn_open_bidi_stream(quic(), &stream_, nullptr);
    if (opened != 0) throw std::runtime_error(std::string("request: ") + ngtcp2_strerror(opened));
    const std::array<quic::http3::field, 4> fields{
        {{":method", "GET"}, {":scheme", "https"}, {":authority", order_->host}, {":path", order_->path}}};
    requests().request(stream_, fields);
  }

  void on_field(std::int64_t stream, std::string_view name, std::string_view value) override {
    if (stream == stream_ && name == ":status") status_ = value;
  }

  void on_body(std::int64_t stream, std::span<const std::uint8_t> part) override {
    if (stream != stream_ || status_ != "200") return;
    octets_ += part.size();
    if (std::fwrite(part.data(), 1, part.size(), to_->get()) != part.size()) {
      throw std::system_error(errno, std::system_category(), "the output");
    }
  }

  void on_end(std::int64_t stream) override { complete_ = complete_ || stream == stream_; }

  void on_stream_closed(std::int64_t stream) override {
    if (stream == stream_) close(NGHTTP3_H3_NO_ERROR);
  }

  /// The move waits until the handshake is confirmed and the server has given ids for another path.
  void before_write(quic::time_point now) override {
    if (!order_->move || moved_ || octets_ < order_->move->after || complete_) return;
    quic::path there({order_->move->to, local_.port}, order_->server);
    const ngtcp2_path view = there.view();
    const auto when = static_cast<ngtcp2_tstamp>(std::chrono::nanoseconds(now.time_since_epoch()).count());
    const int begun = ngtcp2_conn_initiate_migration(quic(), &view, when);
    if (begun == NGTCP2_ERR_INVALID_STATE || begun == NGTCP2_ERR_CONN_ID_BLOCKED) return;
    if (begun != 0) throw std::runtime_error(std::string("move: ") + ngtcp2_strerror(begun));
    moved_ = true;
  }

  const order* order_;
  output* to_;
  u6::endpoint local_;
  std::int64_t stream_ = -1;
  std::string status_;
  std::uint64_t octets_ = 0;
  bool complete_ = false;
  bool moved_ = false;
};

/// The address from which the routing table lets packets to `server` leave.
u6::ip_address source_to(u6::event_loop& loop, const u6::endpoint& server) {
  const auto route = u6::or_throw(u6::dial_packet(loop, "udp", server));
  return u6::or_throw(route.local_endpoint()).address;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::runtime_error(std::string(text) + ": no number");
  return value;
}

/// Returns the exit status.
int report(const download& ended) {
  const auto& in = ended.received();
  fmt::print("status {}, {} octets in {} datagrams ({} ECT, {} CE), migrations {}\n", ended.status(), ended.octets(),
             in.datagrams, in.ect, in.congested, ended.migrations());
  if (ended.complete() && ended.status() == "200") return EXIT_SUCCESS;
  const bool answered = !ended.status().empty() && ended.status() != "200";
  fmt::print(stderr, "quic_client: {}\n",
             answered                  ? "status " + ended.status()
             : ended.failure().empty() ? "the server closed"
                                       : ended.failure());
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 6 && argc != 8) {
    fmt::print(stderr, "usage: quic_client ADDRESS:PORT TRUSTED NAME PATH FILE [NEW-ADDRESS OCTETS]\n");
    return EXIT_FAILURE;
  }
  order what{.server = u6::or_throw(u6::endpoint::parse(argv[1])), .host = argv[3], .path = argv[4]};
  if (argc == 8) what.move = move_order{u6::or_throw(u6::ip_address::parse(argv[6])), number(argv[7])};
  const quic::credentials trust = quic::credentials::of_client(argv[2]);
  output to(std::fopen(argv[5], "wb"));
  if (!to) throw std::system_error(errno, std::system_category(), argv[5]);

  u6::event_loop loop;
  auto socket = u6::or_throw(u6::listen_packet(loop, "udp", "[::]:0", quic::endpoint::socket_options()));
  const u6::endpoint local{source_to(loop, what.server), u6::or_throw(socket.local_endpoint()).port};
  int status = EXIT_FAILURE;
  const auto at_end = [&](const quic::connection& ended) { status = report(static_cast<const download&>(ended)); };
  quic::endpoint mine(std::move(socket), nullptr, at_end);
  mine.adopt(std::make_unique<download>(what, trust, to, mine, local, loop.now()));
  u6::or_throw(loop.run(mine.run(true)));
  if (status != EXIT_SUCCESS && mine.send_error()) {
    fmt::print(stderr, "quic_client: packets were not sent: {}\n", mine.send_error().message());
  }
  if (std::fflush(to.get()) != 0) throw std::system_error(errno, std::system_category(), argv[5]);
  return status;
} catch (const std::exception& failed) {
  fmt::print(stderr, "quic_client: {}\n", failed.what());
  return EXIT_FAILURE;
}
