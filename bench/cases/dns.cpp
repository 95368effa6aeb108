// dns: the processor time that a saturated name server takes for a query. 64 clients ask for different names in turn,
// and check all that the answers say; they have different lengths.
#include "cases/cases.hpp"
#include "harness/saturated_server.hpp"

namespace bench {

void add_dns(contests& all, const placement& where) {
  all.push_back(saturation_contest(
      {.name = "dns",
       .unit = "ns of processor time/query",
       .role = "dns",
       .other_end = clients_of_all_servers({.what = dns_exchange(), .count = 64, .each = 128}),
       .entrants = {{.subject = "raw dns", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg"},
                    {.subject = "uring6 dns", .note = "receive and write_batch"},
                    {.subject = "uring6 dns simple", .note = "read_from and write_to, written ahead"},
                    {.subject = "asio epoll"},
                    {.subject = "asio io_uring"},
                    {.subject = "go ReadFromUDPAddrPort", .note = "golang.org/x/net/dns/dnsmessage"}}},
      where));
}

}  // namespace bench
