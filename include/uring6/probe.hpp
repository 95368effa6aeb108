// probe: what this machine offers to uring6, what it refuses, and why.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "uring6/event_loop.hpp"
#include "uring6/export.hpp"

namespace uring6::inline v0 {

/// What `probe` found. A value. It was true at that moment, for the calling thread's privileges and network
/// namespace.
struct URING6_EXPORT probe_report {
  std::string kernel{};  ///< The kernel's release: "6.1.0-25-amd64".

  // The ring.
  /// What executes a loop's operations here; `automatic`: no loop can be made. With `readiness` the members down to
  /// `zero_copy_send` are false or empty, but for the two numbers of entries.
  loop_driver driver = loop_driver::automatic;
  bool ring = false;                         ///< The kernel sets up a ring, and the ring works.
  std::vector<std::string> setup_flags{};    ///< Flags of the ring: "SINGLE_ISSUER", ... IORING_SETUP_*
  std::vector<std::string> ring_features{};  ///< Features that the kernel reports: "NODROP", ... IORING_FEAT_*
  unsigned submission_entries = 0;
  unsigned completion_entries = 0;
  bool registered_descriptor = false;  ///< System calls need not look up the ring's descriptor.
  bool buffer_rings = false;           ///< The kernel takes receive buffers out of a ring (Linux 5.19).
  /// One armed read delivered several datagrams over ::1 (Linux 6.0); nullopt: `probe` could not try it.
  std::optional<bool> multishot_receive{};
  /// The kernel can send without a copy (Linux 6.1). Whether a device can, only sending tells. SENDMSG_ZC
  bool zero_copy_send = false;

  // The network.
  bool ipv6 = false;                       ///< IPv6 sockets can be opened.
  bool ipv6_loopback = false;              ///< ::1 is there.
  unsigned longest_train = 0;              ///< Datagrams of the longest train; 0: no trains can be sent. UDP_SEGMENT
  bool receive_trains = false;             ///< Trains are received: the kernel merges only equal datagrams. UDP_GRO
  std::size_t largest_receive_buffer = 0;  ///< Octets that the kernel grants to any user. net.core.rmem_max
  std::size_t largest_send_buffer = 0;     ///< Octets that the kernel grants to any user. net.core.wmem_max

  // Privileges, in the calling thread's user namespace.
  bool net_raw = false;    ///< CAP_NET_RAW: raw sockets (ICMPv6, captures).
  bool net_admin = false;  ///< CAP_NET_ADMIN: buffers beyond the limits, network set-up.

  /// Each reason why uring6 cannot work here, with what to do about it: sentences for a user.
  std::vector<std::string> missing{};
  /// The same for what works more slowly or with fewer features: what the kernel or a limit refused, and each
  /// weakness of the kernel that the loop works around, with the release that does better.
  std::vector<std::string> degraded{};

  /// Whether everything that uring6 needs is there.
  bool ready() const noexcept { return missing.empty(); }
};

/// Tries what uring6 needs: sets up a ring with `options`, reads datagrams over ::1 with it, and asks for socket
/// options, limits and privileges. Takes some milliseconds, leaves nothing behind, sends nothing beyond ::1. Any
/// thread, also the thread of a running loop. Never fails: the report says what is wrong.
URING6_EXPORT probe_report probe(const loop_options& options = {});

/// The report as lines of "name  value", without a line break at the end.
URING6_EXPORT std::string to_string(const probe_report& report);

}  // namespace uring6::inline v0
