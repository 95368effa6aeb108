#include "demo/report.hpp"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "uring6/format.hpp"
#include "uring6/interface.hpp"

namespace uring6::tool {
namespace {

using json = nlohmann::ordered_json;

/// The local time of day, with microseconds.
std::string time_of_day(std::chrono::system_clock::time_point when) {
  const auto since_epoch = std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count();
  const std::time_t seconds = since_epoch / 1'000'000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}.{:06}", local.tm_hour, local.tm_min, local.tm_sec, since_epoch % 1'000'000);
}

std::string interface_name(std::uint32_t index) {
  const auto found = interface::by_index(index);
  return found ? found->name : std::to_string(index);
}

void print_burst(const burst_account& burst, output& out) {
  out.line(
      "burst: {} of {} datagrams of {} octets in {:.3f} s: {:.0f} datagrams/s, {:.4f} system calls per "
      "datagram",
      burst.received, burst.wanted, burst.expected.length, std::chrono::duration<double>(burst.duration).count(),
      burst.datagrams_per_second(), burst.system_calls_per_datagram());
  if (burst.altered > 0) out.line("       {} not as sent, the first: {}", burst.altered, burst.first_difference);
  if (burst.out_of_order > 0) out.line("       {} out of order", burst.out_of_order);
  if (burst.duplicates > 0) out.line("       {} arrived more than once", burst.duplicates);
}

json to_json(const sample& what) {
  json fields{{"as_sent", what.as_sent()}, {"sent", what.sent}, {"received", what.seen.has_value()}};
  if (!what.seen) {
    fields["destination"] = what.expected.destination.to_string();
    return fields;
  }
  const sighting& seen = *what.seen;
  const auto since_epoch = std::chrono::duration_cast<std::chrono::nanoseconds>(what.when.time_since_epoch());
  fields.update(json{{"time_ns", since_epoch.count()},
                     {"source", seen.source.to_string()},
                     {"destination", seen.destination.to_string()},
                     {"interface", interface_name(seen.interface_index)},
                     {"interface_index", seen.interface_index},
                     {"hop_limit", seen.hop_limit},
                     {"traffic_class", seen.traffic_class},
                     {"dscp", seen.traffic_class >> 2},
                     {"ecn", seen.traffic_class & 3},
                     {"length", seen.length},
                     {"duplicates", what.duplicates}});
  if (!what.as_sent()) fields["wrong"] = what.wrong();
  return fields;
}

json to_json(const burst_account& burst) {
  return {{"wanted", burst.wanted},
          {"sent", burst.sent},
          {"received", burst.received},
          {"lost", burst.lost()},
          {"out_of_order", burst.out_of_order},
          {"duplicates", burst.duplicates},
          {"altered", burst.altered},
          {"length", burst.expected.length},
          {"duration_ns", burst.duration.count()},
          {"datagrams_per_second", burst.datagrams_per_second()},
          {"system_calls", burst.system_calls},
          {"system_calls_per_datagram", burst.system_calls_per_datagram()}};
}

json to_json(const ledger& book) {
  json samples = json::array();
  for (const sample& each : book.samples) samples.push_back(to_json(each));
  json multicast{{"group", book.group.to_string()}, {"interface", nullptr}};
  if (book.multicast.empty()) {
    multicast["left_out_because"] = book.without_multicast;
  } else {
    multicast["interface"] = book.multicast;
  }
  return {{"command", "demo"},
          {"ok", book.all_as_sent()},
          {"server", book.server.to_string()},
          {"multicast", multicast},
          {"sent", book.sent()},
          {"received", book.received()},
          {"lost", book.lost()},
          {"lost_because", {{"receive_buffer_full", book.lost_by_kernel()}, {"unexplained", book.lost_unexplained()}}},
          {"not_sent", book.not_sent},
          {"strangers", book.strangers},
          {"failures", book.failures},
          {"datagrams", samples},
          {"burst", to_json(book.burst)},
          {"statistics",
           {{"loop", json::parse(to_json(book.loop))},
            {"receive_pool", json::parse(to_json(book.pool))},
            {"server", json::parse(to_json(book.server_counters))}}}};
}

}  // namespace

void print_heading(const ledger& book, output& out) {
  const bool shows_multicast = !book.multicast.empty();
  out.line("server at {}, {}", book.server,
           shows_multicast ? fmt::format("group {} on {}", book.group, book.multicast) : "no multicast");
  out.line("");
  out.line("{:<15}  {:<36}  {:<10}  {:<10} {:>4} {:>5} {:>4} {:>7}", "time", "source", "to", "interface", "hops",
           "dscp", "ecn", "length");
}

void print_sample(const sample& what, output& out) {
  const sighting& seen = *what.seen;
  const std::string wrong = what.wrong();
  out.line("{}  {:<36}  {:<10}  {:<10} {:>4} {:>5} {:>4} {:>7}{}{}", time_of_day(what.when), seen.source,
           seen.destination, interface_name(seen.interface_index), seen.hop_limit, seen.traffic_class >> 2,
           seen.traffic_class & 3, seen.length, wrong.empty() ? "" : "  WRONG: ", wrong);
}

void print_summary(const ledger& book, output& out) {
  out.object(to_json(book));
  out.line("");
  if (book.burst.wanted > 0) print_burst(book.burst, out);
  out.line("{} sent, {} received, {} lost", book.sent(), book.received(), book.lost());
  if (book.lost() > 0) {
    out.line("lost: {} because the server's receive buffer was full, {} unexplained", book.lost_by_kernel(),
             book.lost_unexplained());
  }
  for (const auto& [reason, count] : book.not_sent) out.line("not sent: {}: {}", count, reason);
  for (const std::string& each : book.failures) out.line("failed: {}", each);
  if (book.strangers > 0) out.line("passed over: {} datagrams from elsewhere", book.strangers);
  if (!book.without_multicast.empty()) out.line("multicast was left out: {}", book.without_multicast);
  out.line("loop: {}", book.loop);
  out.line("receive pool: {}", book.pool);
  out.line("server: {}", book.server_counters);
  out.line("{}", book.all_as_sent() ? "every datagram arrived as it was sent" : "not every datagram arrived as sent");
}

}  // namespace uring6::tool
