// What clients ask a server, and what they expect of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace bench {

class exchange {
 public:
  virtual ~exchange() = default;

  /// Writes question `number` into `room` (2048 octets) and returns its length.
  virtual std::size_t ask(std::span<std::byte> room, std::uint64_t number) const = 0;

  /// Whether `said` is the answer to question `number`.
  virtual bool is_answer(std::span<const std::byte> said, std::uint64_t number) const = 0;
};

/// Payloads of `size` octets, which come back as they are.
std::shared_ptr<const exchange> echo_exchange(std::size_t size);

/// The same behind an id of two octets, the question's number: common/forward.hpp.
std::shared_ptr<const exchange> forward_exchange(std::size_t size);

/// Queries for the zone of common/dns.hpp: A and AAAA of its hosts, in no order, and each 16th of a name that it does
/// not have.
std::shared_ptr<const exchange> dns_exchange();

}  // namespace bench
