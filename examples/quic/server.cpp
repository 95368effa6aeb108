// Serves the files of a directory by HTTP/3.
//
//     quic_server ADDRESS:PORT CERTIFICATE KEY DIRECTORY     such as: quic_server [::]:4433 cert.pem key.pem /srv/files
//
// It says where it listens (port 0: any), and one line for each connection that has ended. SIGINT or SIGTERM tells all
// clients and ends it.
#include <fmt/core.h>

#include <array>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <uring6/uring6.hpp>
#include <utility>

#include "connection.hpp"
#include "endpoint.hpp"
#include "served_file.hpp"

namespace u6 = uring6;

namespace {

// What is kept of a request's path, octets: a path that was cut to it is still too long for openat2.
constexpr std::size_t longest_path = PATH_MAX + 1;

/// What all connections share.
struct service {
  quic::credentials identity;
  quic::served_files files;
};

/// A client's connection.
class client final : public quic::connection {
 public:
  client(service& of, quic::connection_ids& ids, const ngtcp2_pkt_hd& first, const quic::path& along,
         quic::time_point now)
      : connection(quic::tls_session::role::server, of.identity, ids), service_(&of) {
    open_server(first, along, now);
  }

 private:
  struct exchange {
    bool is_get = false;
    std::string path;
    std::shared_ptr<const quic::served_file> file{};
  };

  void on_field(std::int64_t stream, std::string_view name, std::string_view value) override {
    exchange& asked = exchanges_[stream];
    if (name == ":method") asked.is_get = value == "GET";
    if (name == ":path") asked.path = value.substr(0, longest_path);
  }

  void on_end(std::int64_t stream) override {
    exchange& asked = exchanges_[stream];
    if (!asked.is_get) return answer(stream, "405", {});
    try {
      asked.file = service_->files.open(asked.path);
    } catch (const std::system_error& failed) {
      fmt::print(stderr, "quic_server: a request is answered with 500: {}\n", failed.what());
      return answer(stream, "500", {});
    }
    if (!asked.file) return answer(stream, "404", {});
    answer(stream, "200", asked.file->content());
  }

  void answer(std::int64_t stream, std::string_view status, std::span<const std::uint8_t> body) {
    const std::string length = std::to_string(body.size());
    const std::array<quic::http3::field, 2> fields{{{":status", status}, {"content-length", length}}};
    requests().respond(stream, fields, body);
  }

  void on_stream_closed(std::int64_t stream) override { exchanges_.erase(stream); }

  service* service_;
  std::map<std::int64_t, exchange> exchanges_;  // by stream
};

void report(const quic::connection& ended) {
  const auto& in = ended.received();
  const auto& out = ended.sent();
  fmt::print("ended: sent {} datagrams ({} ECT) of {} octets, received {} ({} ECT, {} CE), migrations {}{}{}\n",
             out.datagrams, out.ect, out.octets, in.datagrams, in.ect, in.congested, ended.migrations(),
             ended.failure().empty() ? "" : ", ", ended.failure());
}

u6::task<int> run(u6::event_loop& loop, quic::endpoint& server) {
  u6::signals stops(loop, {SIGINT, SIGTERM});
  enum class end { serving, signal };
  const auto first = co_await u6::select(u6::on<end::serving>(server.run(false)), u6::on<end::signal>(stops.next()));
  co_await server.close_all();
  if (first.is(end::signal)) co_return EXIT_SUCCESS;
  fmt::print(stderr, "quic_server: {}\n", first.get<end::serving>().error().message());
  co_return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) {
    fmt::print(stderr, "usage: quic_server ADDRESS:PORT CERTIFICATE KEY DIRECTORY\n");
    return EXIT_FAILURE;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  service shared{quic::credentials::of_server(argv[2], argv[3]), quic::served_files(argv[4])};
  u6::event_loop loop;
  auto socket =
      u6::or_throw(u6::listen_packet(loop, "udp", std::string_view(argv[1]), quic::endpoint::socket_options()));
  const auto accept = [&](quic::connection_ids& ids, const ngtcp2_pkt_hd& first, const quic::path& along,
                          quic::time_point now) -> std::unique_ptr<quic::connection> {
    try {
      return std::make_unique<client>(shared, ids, first, along, now);
    } catch (const std::exception& failed) {
      fmt::print(stderr, "quic_server: a connection could not be made: {}\n", failed.what());
      return nullptr;
    }
  };
  quic::endpoint server(std::move(socket), accept, report);
  fmt::print("listening at {}\n", u6::or_throw(server.socket().local_endpoint()).to_string());
  return loop.run(run(loop, server));
} catch (const std::exception& failed) {
  fmt::print(stderr, "quic_server: {}\n", failed.what());
  return EXIT_FAILURE;
}
