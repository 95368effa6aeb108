// The table of the uring6 program.
#include <array>
#include <cstdlib>
#include <memory>

#include "subjects/uring6/dns.hpp"
#include "subjects/uring6/echo.hpp"
#include "subjects/uring6/forward.hpp"
#include "subjects/uring6/receive.hpp"
#include "subjects/uring6/relay.hpp"
#include "subjects/uring6/send.hpp"
#include "subjects/uring6/streams.hpp"
#include "subjects/uring6/subscribe.hpp"

namespace bench {
namespace {

/// The same subject, whose loops run by readiness.
template <auto make>
std::unique_ptr<subject> by_readiness(const settings& s) {
  ::setenv("URING6_DRIVER", "readiness", 1);
  return make(s);
}

}  // namespace

std::span<const entry> subjects() {
  static constexpr std::array table{
      entry{"receive", "uring6 read_from", u6::receive_by_read_from},
      entry{"receive", "uring6 read_batch", u6::receive_by_read_batch},
      entry{"receive", "uring6 receive", u6::receive_by_receive},
      entry{"receive", "uring6 subscribe alone", u6::subscribe_alone},
      entry{"receive", "uring6 subscribe", u6::subscribe_64},
      entry{"receive", "uring6 subscribe, all check", u6::subscribe_64_that_check},
      entry{"receive", "uring6 one loop", u6::receive_by_one_loop},
      entry{"receive", "uring6 two loops", u6::receive_by_two_loops},
      entry{"send", "uring6 write_batch", u6::send_by_write_batch},
      entry{"send", "uring6 write_to", u6::send_by_write_to},
      entry{"fan", "uring6 write_batch", u6::fan_by_write_batch},
      entry{"fan", "uring6 write_to", u6::fan_by_write_to},
      entry{"fan", "uring6 coroutines", u6::fan_by_coroutines},
      entry{"relay", "uring6 relay", u6::relay_by_train},
      entry{"relay", "uring6 relay of datagrams", u6::relay_by_datagram},
      entry{"echo", "uring6 echo", u6::echo},
      entry{"echo", "uring6 echo simple", u6::echo_simple},
      entry{"echo", "uring6 readme", u6::echo_of_readme},
      entry{"echo", "uring6 echo by loops", u6::echo_by_loops},
      entry{"dns", "uring6 dns", u6::dns},
      entry{"dns", "uring6 dns simple", u6::dns_simple},
      entry{"forward", "uring6 forward", u6::forward},
      entry{"forward", "uring6 forward of queries", u6::forward_each_by_a_coroutine},
      entry{"receive", "uring6 readiness read_from", by_readiness<u6::receive_by_read_from>},
      entry{"receive", "uring6 readiness receive", by_readiness<u6::receive_by_receive>},
      entry{"send", "uring6 readiness write_batch", by_readiness<u6::send_by_write_batch>},
      entry{"fan", "uring6 readiness write_batch", by_readiness<u6::fan_by_write_batch>},
      entry{"echo", "uring6 readiness echo", by_readiness<u6::echo>},
      entry{"tcp", "uring6 tcp_conn", u6::streams},
      entry{"tcp", "uring6 readiness tcp_conn", by_readiness<u6::streams>},
  };
  return table;
}

}  // namespace bench
