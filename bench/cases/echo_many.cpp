// echo-run-many, echo-run-many-plain, echo-peers, echo-peers-loops: the processor time that a saturated echo server
// takes per datagram if its datagrams come from many clients, singly and in turn. No client's datagrams follow one
// another, and in echo-peers there is one of each of 10,000 clients, so that the server answers each by itself. In
// echo-peers-loops the server has a loop on each of two processors, one of them the harness's.
#include "cases/cases.hpp"
#include "cases/echo_servers.hpp"
#include "harness/saturated_server.hpp"

namespace bench {

void add_echo_crowds(contests& all, const placement& where) {
  const auto servers =
      echo_servers({{.subject = "raw epoll echo", .note = "level-triggered epoll, one recvmsg and one sendmsg"},
                    {.subject = "raw multishot echo", .note = "io_uring"}});
  const std::vector<entrant> of_loops{
      {.subject = "raw echo by threads", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg, SO_REUSEPORT"},
      {.subject = "uring6 echo by loops", .note = "listen_group"}};
  const auto add = [&](const char* name, asking_clients shape, const std::vector<entrant>& entrants, unsigned loops) {
    shape.what = echo_exchange(64);
    shape.meanwhile = idle_beside(loops);
    all.push_back(saturation_contest(
        {.name = name, .loops = loops, .other_end = clients_of_all_servers(shape), .entrants = entrants}, where));
  };
  add("echo-run-many", {.count = 64, .each = 128, .takes_trains = true}, servers, 1);
  add("echo-run-many-plain", {.count = 64, .each = 128}, servers, 1);
  add("echo-peers", {.count = 10'000, .each = 1}, servers, 1);
  add("echo-peers-loops", {.count = 10'000, .each = 1}, of_loops, 2);
}

}  // namespace bench
