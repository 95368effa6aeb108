// echo-run-many, echo-run-many-plain, echo-peers, echo-peers-loops: the processor time that a saturated echo server
// takes per datagram if its datagrams come from many clients, singly and in turn. No client's datagrams follow one
// another, and in echo-peers there is one of each of 10,000 clients, so that the server answers each by itself. In
// echo-peers-loops the server has a loop on each of two processors, one of them the harness's.
#include "cases/cases.hpp"
#include "harness/saturated_server.hpp"

namespace bench {

void add_echo_crowds(contests& all, const placement& where) {
  const std::vector<entrant> servers{
      {.subject = "raw echo", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg"},
      {.subject = "raw epoll echo", .note = "level-triggered epoll, one recvmsg and one sendmsg"},
      {.subject = "raw multishot echo", .note = "io_uring"},
      {.subject = "uring6 echo"},
      {.subject = "uring6 echo simple"},
      {.subject = "uring6 readme", .note = "the README's service as printed; looks at no payload"},
      {.subject = "asio epoll"},
      {.subject = "asio io_uring"},
      {.subject = "libuv"},
      {.subject = "go ReadFrom"}};
  const std::vector<entrant> of_loops{
      {.subject = "raw echo by threads", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg, SO_REUSEPORT"},
      {.subject = "uring6 echo by loops", .note = "listen_group"}};
  const auto add = [&](saturation shape) {
    shape.what = echo_exchange(64);
    all.push_back(saturation_contest(std::move(shape), where));
  };
  add({.name = "echo-run-many", .clients = 64, .each = 128, .takes_trains = true, .entrants = servers});
  add({.name = "echo-run-many-plain", .clients = 64, .each = 128, .entrants = servers});
  add({.name = "echo-peers", .clients = 10'000, .each = 1, .entrants = servers});
  add({.name = "echo-peers-loops", .clients = 10'000, .each = 1, .loops = 2, .entrants = of_loops});
}

}  // namespace bench
