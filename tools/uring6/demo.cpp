// uring6 demo: a server and its clients in one loop, and a ledger that shows whether all datagrams arrived as sent.
#include <fmt/format.h>
#include <sys/socket.h>

#include <CLI/App.hpp>
#include <charconv>
#include <random>

#include "command.hpp"
#include "demo/burst.hpp"
#include "demo/client.hpp"
#include "demo/message.hpp"
#include "demo/report.hpp"
#include "demo/server.hpp"
#include "demo/site.hpp"
#include "uring6/uring6.hpp"

namespace uring6::tool {
namespace {

constexpr ip_address group({0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x14});  // ff01::114: stays on this host
constexpr int traffic_classes[] = {0, 0x28, 0xb8};                                   // none, AF11, EF
constexpr int hop_limits[] = {0, 1, 64, 255};
constexpr std::size_t sample_length = 64;
constexpr control_flags all_that_is_shown =
    control_flags::traffic_class | control_flags::hop_limit | control_flags::destination | control_flags::interface;

struct demo_options {
  std::size_t burst = 100'000;
  std::size_t burst_length = 64;
  std::string interface_name{};
};

/// A client's share of the samples.
struct share {
  std::size_t first{};
  std::size_t count{};
  ip_address destination{};
};

class demonstration {
 public:
  demonstration(event_loop& loop, const demo_options& options, output& out)
      : loop_(loop), options_(options), out_(out) {}

  task<> run();
  const ledger& book() const noexcept { return book_; }

 private:
  packet_conn open_server();
  void plan();
  std::size_t add_sample(const ip_address& destination, int traffic_class, int hop_limit);
  void choose_site();
  task<> client(share mine);
  task<> burst(std::size_t receive_buffer);

  event_loop& loop_;
  const demo_options& options_;
  output& out_;
  ledger book_;
  std::uint32_t loopback_ = 0;
  std::optional<multicast_site> site_;
  std::vector<share> shares_;
};

interface named(const std::string& text) {
  if (const auto by_name = interface::by_name(text)) return *by_name;
  std::uint32_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (const auto by_index = interface::by_index(index)) return *by_index;
  }
  throw failure(exit_status::usage, fmt::format("there is no interface {}", text));
}

std::uint32_t loopback_interface() {
  for (const interface& each : or_throw(interface::all())) {
    if (each.is(interface_flags::loopback)) return each.index;
  }
  throw failure(exit_status::environment, "there is no loopback interface");
}

std::size_t receive_buffer_of(const packet_conn& conn) {
  int octets = 0;
  socklen_t length = sizeof octets;
  if (::getsockopt(conn.native_handle(), SOL_SOCKET, SO_RCVBUF, &octets, &length) != 0) return 0;
  return static_cast<std::size_t>(octets);
}

void demonstration::choose_site() {
  std::string why_not;
  const auto found = options_.interface_name.empty() ? find_multicast_site(why_not)
                                                     : multicast_site_on(named(options_.interface_name), why_not);
  if (found) {
    site_ = *found;
    book_.multicast = found->on.name;
  } else if (options_.interface_name.empty()) {
    book_.without_multicast = why_not;
  } else {
    throw failure(exit_status::environment, why_not);
  }
}

std::size_t demonstration::add_sample(const ip_address& destination, int traffic_class, int hop_limit) {
  sample added;
  added.expected.destination = destination;
  added.expected.interface_index = destination.is_multicast() ? site_->on.index : loopback_;
  added.expected.traffic_class = traffic_class;
  added.expected.hop_limit = hop_limit;
  added.expected.length = sample_length;
  book_.samples.push_back(added);
  return book_.samples.size() - 1;
}

// A client for each traffic class, and one for the group.
void demonstration::plan() {
  for (const int traffic_class : traffic_classes) {
    shares_.push_back({book_.samples.size(), std::size(hop_limits), ip_address::loopback()});
    for (const int hop_limit : hop_limits) add_sample(ip_address::loopback(), traffic_class, hop_limit);
  }
  if (site_) {
    shares_.push_back({book_.samples.size(), std::size(traffic_classes), group});
    for (std::size_t i = 0; i < std::size(traffic_classes); ++i) {
      add_sample(group, traffic_classes[i], hop_limits[i + 1]);
    }
  }
  book_.burst.wanted = options_.burst;
  book_.burst.expected = {.destination = ip_address::loopback(),
                          .interface_index = loopback_,
                          .hop_limit = 64,
                          .traffic_class = 0xb8,
                          .length = options_.burst_length};
}

packet_conn demonstration::open_server() {
  auto server = or_throw(listen_packet(loop_, "udp6", "[::]:0"));
  or_throw(server.set_control_message(all_that_is_shown, true));
  if (site_) or_throw(server.join_group(site_->on, group));
  book_.server = or_throw(server.local_endpoint());
  return server;
}

task<> demonstration::client(share mine) {
  const bool to_group = mine.destination.is_multicast();
  auto conn = or_throw(listen_packet(loop_, "udp6", to_group ? "[::]:0" : "[::1]:0"));
  const endpoint self = or_throw(conn.local_endpoint());
  const auto samples = std::span(book_.samples).subspan(mine.first, mine.count);
  for (sample& each : samples) each.expected.source = {to_group ? site_->from : self.address, self.port};
  co_await send_samples(conn, {mine.destination, book_.server.port}, samples, book_);
}

task<> demonstration::burst(std::size_t receive_buffer) {
  auto conn = or_throw(listen_packet(loop_, "udp6", "[::1]:0"));
  book_.burst.expected.source = or_throw(conn.local_endpoint());
  burst_sender sender(loop_, conn, {ip_address::loopback(), book_.server.port}, receive_buffer, book_);
  co_await sender.run();
}

task<> demonstration::run() {
  std::random_device random;
  book_.token = std::uint64_t{random()} << 32 | random();
  book_.group = group;
  loopback_ = loopback_interface();
  choose_site();
  plan();

  packet_conn server = open_server();
  print_heading(book_, out_);
  scope background;
  background.spawn(serve(server, book_, out_));

  scope clients;
  for (const share& each : shares_) clients.spawn(client(each));
  co_await clients.join();
  out_.flush();

  if (book_.burst.wanted > 0) co_await burst(receive_buffer_of(server));
  book_.server_counters = server.stats();
  or_throw(server.close());
  co_await background.join();
  book_.pool = loop_.pools().back();
  book_.loop = loop_.stats();
}

class demo_command final : public command {
 public:
  void add_options(CLI::App& app) override {
    app.add_option("-c,--count", options_.burst, "Datagrams of the burst; they are counted, not printed")
        ->check(CLI::Range(std::size_t{0}, std::size_t{100'000'000}))
        ->capture_default_str();
    app.add_option("-l,--length", options_.burst_length, "Octets of payload of each datagram of the burst")
        ->check(CLI::Range(shortest_payload, max_udp_payload))
        ->capture_default_str();
    app.add_option("-i,--interface", options_.interface_name,
                   "Show multicast on this one, by name or index; default: the first that can");
  }

  exit_status run(output& out) override {
    if (const probe_report machine = probe(); !machine.ready()) {
      throw failure(exit_status::environment, fmt::format("{}", fmt::join(machine.missing, "; ")));
    }
    event_loop loop;
    if (loop.driver() == loop_driver::readiness) {
      const std::string_view reason = loop.driver_reason();
      fmt::print(stderr, "uring6 demo: runs by readiness (epoll): {}\n",
                 reason.empty() ? "URING6_DRIVER says so" : reason);
    }
    demonstration demo(loop, options_, out);
    loop.run(demo.run());
    print_summary(demo.book(), out);
    return demo.book().all_as_sent() ? exit_status::ok : exit_status::goal_failed;
  }

 private:
  demo_options options_;
};

}  // namespace

std::unique_ptr<command> make_demo() {
  return std::make_unique<demo_command>();
}

}  // namespace uring6::tool
