#include "cases/echo_servers.hpp"

#include <algorithm>
#include <iterator>

namespace bench {

std::vector<entrant> echo_servers(std::vector<entrant> more) {
  std::vector<entrant> all{{.subject = "raw echo", .vectors = {16, 32, 64, 128}, .note = "recvmmsg and sendmmsg"}};
  std::ranges::move(more, std::back_inserter(all));
  std::ranges::copy(
      std::vector<entrant>{{.subject = "uring6 echo"},
                           {.subject = "uring6 echo simple"},
                           {.subject = "uring6 readme", .note = "the README's service as printed; looks at no payload"},
                           {.subject = "asio epoll"},
                           {.subject = "asio io_uring"},
                           {.subject = "libuv"},
                           {.subject = "go ReadFrom"}},
      std::back_inserter(all));
  return all;
}

}  // namespace bench
