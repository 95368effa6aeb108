// Connecting to one of several endpoints, one attempt after the other and more than one at a time (RFC 8305).
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/loop/loop_core.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/detail/error_slot.hpp"
#include "uring6/detail/operation.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/tcp.hpp"

namespace uring6::inline v0::detail {

class stream_socket;

/// The addresses with IPv6 and IPv4 in turn, beginning with the family of the first one. Within a family the order
/// stays (RFC 8305, section 4).
std::vector<endpoint> interleave_families(std::span<const endpoint> addresses);

class dial_race final : ready_node, stop_listener, timer_node, resident {
 public:
  /// `addresses`: in the order in which the race tries them; or an error, with which it ends at once.
  dial_race(std::shared_ptr<loop_core> loop, result<std::vector<endpoint>> addresses, bool only_v6,
            const tcp_options& options);
  dial_race(const dial_race&) = delete;
  dial_race& operator=(const dial_race&) = delete;
  ~dial_race();

  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  /// The socket of the attempt that connected first, or the error. Called once.
  result<std::unique_ptr<stream_socket>> outcome();
  /// What was dialed, for the text of a failure: "[::1]:53 and 2 more from [::]:1024 on eth0".
  std::string object() const;
  /// The descriptor of the attempt that began last.
  void tell_wait(wait_listing& to) const;

 private:
  struct attempt final : operation {
    attempt(dial_race& in_, const endpoint& to_) noexcept : in(in_), to(to_), name(to_.to_sockaddr()) {}
    void prepare(io_uring_sqe& entry) noexcept override;
    void complete(completion what) noexcept override { in.on_attempt_ended(*this, what.result); }

    dial_race& in;
    endpoint to;
    sockaddr_in6 name;
    file_descriptor fd;
    int self_connections = 0;  // how often this attempt has connected to itself
  };

  /// The coroutine that the race resumes.
  enum class waiter : std::uint8_t {
    none,    // no coroutine waits: the race has not begun, or has resumed it
    waits,   // a coroutine is to be resumed when the race has finished
    is_gone  // its frame is being destroyed: it is not resumed
  };

  void start_next() noexcept;
  void arm_next() noexcept;
  std::error_code start(attempt& one) noexcept;
  bool chooses_port() const noexcept { return options_.local && options_.local->port != 0; }
  void on_attempt_ended(attempt& one, int result) noexcept;
  void note_error(std::error_code error) noexcept;
  void resume_if_finished() noexcept;
  void end(std::error_code why, bool abandoned) noexcept;
  void cancel_all() noexcept;
  bool finished() const noexcept { return in_flight_ == 0 && (winner_ || ended_ || next_ == attempts_.size()); }
  void expired() noexcept override { start_next(); }
  void stop_requested() noexcept override { end(errc::canceled, false); }
  void loop_ends() noexcept override { end(errc::closed, true); }

  std::shared_ptr<loop_core> loop_;
  bool only_v6_;
  tcp_options options_;
  std::string device_;  // options_.device refers to it
  std::vector<std::unique_ptr<attempt>> attempts_;
  std::size_t next_ = 0;
  std::size_t in_flight_ = 0;
  attempt* winner_ = nullptr;
  error_slot first_error_;
  error_slot ended_;        // why no attempt begins any more
  std::uint32_t note_ = 0;  // of the failure to name addresses
  waiter waiter_ = waiter::none;
};

}  // namespace uring6::inline v0::detail
