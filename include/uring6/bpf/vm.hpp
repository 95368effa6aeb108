// Runs a classic BPF program without a socket, with the kernel's result.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "uring6/bpf/instruction.hpp"
#include "uring6/bpf/program.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::bpf {

/// What the kernel knows of a packet in addition to its bytes: the results of `load_extension`.
struct packet_metadata {
  std::uint16_t protocol = 0x86dd;  ///< EtherType.
  std::uint8_t type = 0;            ///< PACKET_HOST
  std::uint32_t interface_index = 0;
  std::uint32_t mark = 0;
  std::uint16_t queue = 0;
  std::uint16_t link_layer_type = 0;
  std::uint32_t rx_hash = 0;
  std::uint32_t cpu_id = 0;
  std::uint16_t vlan_tag = 0;
  bool vlan_tag_present = false;
  std::uint16_t vlan_protocol = 0;
  std::uint32_t payload_offset = 0;
  std::uint32_t random = 0;
};

/// A checked program that can run. Immutable: any number of threads may run one at once. Go: VM.
class URING6_EXPORT vm {
 public:
  /// Checks the program with the kernel's rules. Go: NewVM.
  ///
  /// Errors: those of `assemble` and `check`; `errc::unsupported_by_vm` for the two netlink extensions and for
  /// offsets into the link or network header (SKF_LL_OFF, SKF_NET_OFF).
  static result<vm> create(std::span<const instruction> instructions);
  static result<vm> create(std::span<const raw_instruction> instructions);

  /// How many bytes of the packet the program keeps; 0 drops it. Go: VM.Run.
  ///
  /// It differs from the kernel in one case: an indirect load drops the packet here if its sum wraps to an offset
  /// into the network header.
  ///
  /// `packet`: as the socket's filter sees it; for UDP, from the UDP header on. `metadata`: see packet_metadata.
  std::uint32_t run(std::span<const std::byte> packet, const packet_metadata& metadata = {}) const noexcept;

 private:
  explicit vm(raw_program checked) noexcept : program_(std::move(checked)) {}

  raw_program program_;
};

}  // namespace uring6::inline v0::bpf
