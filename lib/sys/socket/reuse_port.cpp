#include "sys/socket/reuse_port.hpp"

#include <linux/membarrier.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0 {

// The kernel delivers to a connected socket what its peer sends, and nothing else. It looks for that in the address of
// the socket when it chooses by hash, but not when a BPF program chooses by the place in the group. So the socket first
// leaves its place: the kernel takes a socket out of its group when the socket's device is set, also to "none". In
// between the socket may get the datagrams of the whole port, which is no harm, because its queue will be read. A
// socket that is bound to a device keeps its place, because only a privileged process may set the device again.
result<void> leave_reuse_port_group(int fd) noexcept {
  const auto here = local_endpoint(fd);
  if (!here) return fail(here.error());
  endpoint itself = *here;
  if (here->address.is_unspecified()) {
    itself.address = here->address.is_v4_mapped() ? ip_address::v4_mapped({127, 0, 0, 1}) : ip_address::loopback();
  }
  const auto reachable = source_address_to(itself, 0);  // a connect that fails must not leave the socket without group
  if (!reachable) return fail(reachable.error());
  (void)set_bound_device(fd, "");
  return connect_socket(fd, itself);
}

bool wait_for_deliveries() noexcept {
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

result<ip_address> source_address_to(const endpoint& destination, std::uint32_t interface) noexcept {
  const auto probe = open_socket(AF_INET6, SOCK_DGRAM);
  if (!probe) return fail(probe.error());
  result<void> ready = set_option(probe->get(), option::only_v6, 0);
  if (ready && interface != 0) ready = set_option(probe->get(), option::bind_to_interface, interface);
  if (ready) ready = connect_socket(probe->get(), destination);
  if (!ready) return fail(ready.error());
  const auto here = local_endpoint(probe->get());
  if (!here) return fail(here.error());
  return here->address;
}

}  // namespace uring6::inline v0
