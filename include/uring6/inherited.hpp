// listen_inherited: sockets that the program which started this one has opened for it.
#pragma once

#include "uring6/version.hpp"

#include <string>
#include <vector>

#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// An open socket of the parent process. `adopt_packet`, `adopt_listener` or `adopt_tcp` makes a conn of it.
struct inherited_socket {
  int fd = -1;         ///< The socket, which the caller owns. Close-on-exec.
  std::string name{};  ///< The name that the parent gave it (FileDescriptorName= of systemd); "unknown" without one.

  friend bool operator==(const inherited_socket&, const inherited_socket&) = default;
};

/// Takes the sockets that a service manager opened before it started this process (systemd's socket activation): the
/// descriptors from 3 on, as many as the environment variable LISTEN_FDS says, with the names of LISTEN_FDNAMES. Empty
/// if there are none, if they are another process's (LISTEN_PID), and at each further call: the variables are removed,
/// so that no child takes the sockets for its own. Systemd: sd_listen_fds_with_names(3). Go: missing.
///
///     for (const auto& each : or_throw(listen_inherited())) {
///       if (each.name == "dns") conns.push_back(or_throw(adopt_packet(loop, each.fd)));
///     }
///
/// With the sockets open in the manager, a service that ends and begins anew loses nothing that arrives meanwhile.
/// Do not call `stop_receiving`, `stop_accepting` or `drain_on_stop` for them: what these set holds for the socket, so
/// the service's successor would receive nothing from it. Connections that were accepted ahead end with the service
/// (`tcp_options::accept_ahead`).
///
/// Errors, after which the variables are removed as well and no descriptor is closed: `errc::malformed` for variables
/// that are no numbers, and for more or fewer names than sockets; EBADF if a descriptor is not open. May throw
/// std::bad_alloc. Call it before other threads run: they may read the environment.
URING6_EXPORT result<std::vector<inherited_socket>> listen_inherited();

}  // namespace uring6::inline v0
