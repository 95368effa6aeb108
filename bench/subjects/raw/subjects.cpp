// The table of the raw program.
#include <array>

#include "subjects/raw/echo/echo.hpp"
#include "subjects/raw/receive/receive.hpp"
#include "subjects/raw/send/send.hpp"
#include "subjects/raw/service/dns.hpp"
#include "subjects/raw/service/forward.hpp"
#include "subjects/raw/service/relay.hpp"
#include "subjects/raw/service/streams.hpp"

namespace bench {

std::span<const entry> subjects() {
  static constexpr std::array table{
      entry{"receive", "raw recvmsg", raw::receive_by_recvmsg},
      entry{"receive", "raw recvmmsg", raw::receive_by_recvmmsg},
      entry{"receive", "raw multishot", raw::receive_by_multishot},
      entry{"receive", "raw multishot of pieces", raw::receive_by_multishot_of_pieces},
      entry{"receive", "raw gro", raw::receive_by_gro},
      entry{"receive", "raw epoll", raw::receive_by_epoll},
      entry{"receive", "raw epoll recvmmsg", raw::receive_by_epoll_and_recvmmsg},
      entry{"receive", "raw one thread", raw::receive_on_one_thread},
      entry{"receive", "raw two threads", raw::receive_on_two_threads},
      entry{"send", "raw sendmsg", raw::send_by_sendmsg},
      entry{"send", "raw sendmmsg", raw::send_by_sendmmsg},
      entry{"send", "raw gso", raw::send_by_gso},
      entry{"send", "raw gso of messages", raw::send_messages_by_gso},
      entry{"fan", "raw sendmmsg", raw::fan_by_sendmmsg},
      entry{"fan", "raw gso", raw::fan_by_gso},
      entry{"relay", "raw relay", raw::relay},
      entry{"relay", "raw train relay", raw::relay_by_train},
      entry{"echo", "raw echo", raw::echo},
      entry{"echo", "raw spinning echo", raw::echo},
      entry{"echo", "raw train echo", raw::echo_by_train},
      entry{"echo", "raw run echo", raw::echo_by_run},
      entry{"echo", "raw epoll echo", raw::echo_by_epoll},
      entry{"echo", "raw multishot echo", raw::echo_by_ring},
      entry{"echo", "raw echo by threads", raw::echo_by_threads},
      entry{"dns", "raw dns", raw::dns_by_vector},
      entry{"forward", "raw forward", raw::forward},
      entry{"tcp", "raw epoll", raw::streams_by_epoll},
  };
  return table;
}

}  // namespace bench
