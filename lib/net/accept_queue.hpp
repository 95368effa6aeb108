// A tcp_listener's inside: one armed multishot accept, the connections that have come, and who waits for them.
#pragma once

#include <memory>
#include <vector>

#include "net/deadline.hpp"
#include "runtime/loop_core.hpp"
#include "sys/file_descriptor.hpp"
#include "uring6/detail/stream_operations.hpp"

namespace uring6::detail {

class accept_queue final : public resident, operation {
 public:
  accept_queue(std::shared_ptr<loop_core> loop, file_descriptor fd);
  ~accept_queue() { close(); }

  int fd() const noexcept { return fd_.get(); }
  bool closed() const noexcept { return fd_.get() < 0; }
  const std::shared_ptr<loop_core>& loop() const noexcept { return loop_; }

  /// May a wait begin? closed, deadline_exceeded or the wrong thread.
  std::error_code check() const noexcept;

  /// Is there a connection that nobody else was promised, and may it be taken without a suspension?
  bool at_hand() noexcept { return here() > served_ && waiting_.empty() && loop_->spend(); }
  /// There is one.
  file_descriptor take() noexcept;

  void wait(accept_operation& who, stop_root& stop);
  /// It has been resumed, and takes what was kept for it.
  void resumed(accept_operation& who) noexcept;
  /// It goes without taking anything: what was kept for it is the next one's.
  void leave(accept_operation& who) noexcept;

  std::error_code check_thread() const noexcept;
  void set_deadline(std::optional<clock::time_point> when) { deadline_.set(*loop_, when); }
  void close() noexcept;

  /// Leaves the descriptor open, to the caller. Connections that were accepted ahead stay to be taken.
  int release() noexcept;

 private:
  // Connections that are accepted before anybody asks; the others wait in the kernel's queue.
  static constexpr std::size_t most_ahead = 64;

  std::size_t here() const noexcept { return arrived_.size() - taken_; }
  void prepare(io_uring_sqe& entry) noexcept override;
  void complete(completion what) noexcept override;
  void loop_ends() noexcept override { close(); }
  void keep(file_descriptor connection) noexcept;
  void arm() noexcept;
  void end_accepting() noexcept;
  void notify() noexcept;
  void fail_waiting(std::error_code why) noexcept;
  void deadline_passed() noexcept { fail_waiting(errc::deadline_exceeded); }

  std::shared_ptr<loop_core> loop_;
  file_descriptor fd_;
  std::vector<int> arrived_;  // from taken_ on
  std::size_t taken_ = 0;
  intrusive_list<accept_operation, waiting_hook> waiting_;
  intrusive_list<accept_operation, waiting_hook> promised_;
  std::size_t served_ = 0;  // how many are promised one
  bool pausing_ = false;
  sticky_deadline<accept_queue, &accept_queue::deadline_passed> deadline_{*this};
};

}  // namespace uring6::detail
