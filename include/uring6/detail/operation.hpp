// One request to the kernel. It lives where its owner wants (often inside an awaiter, in the coroutine frame) and
// must outlive its final completion; the ring knows it by slot and generation, never by its address.
#pragma once

#include <cstddef>
#include <cstdint>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/export.hpp"

struct io_uring_cqe;
struct io_uring_sqe;

// Objects of these classes are never deleted by a base: the destructors of the bases are protected, and GCC warns
// because the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::detail {

/// What the kernel said: the result (negative: -errno) and the IORING_CQE_F_* flags.
struct completion {
  std::int32_t result;
  std::uint32_t flags;

  bool more() const noexcept { return flags & (1U << 1); }  // IORING_CQE_F_MORE
  bool has_buffer() const noexcept { return flags & 1U; }   // IORING_CQE_F_BUFFER
  std::uint16_t buffer_id() const noexcept { return static_cast<std::uint16_t>(flags >> 16); }
};

/// idle -> queued -> in_flight -> idle. The hook is the ring's while queued.
class URING6_EXPORT operation : public list_hook {
 public:
  enum class state : std::uint8_t { idle, queued, in_flight };

  /// Fills the entry just before it is handed to the kernel; everything but user_data is this function's.
  ///
  /// With IOSQE_CQE_SKIP_SUCCESS it is a quiet operation: one that cannot be parked (MSG_DONTWAIT) and is
  /// therefore over when the enter that submits it returns. Only its failure costs a completion; success is told
  /// by the reaper, with result 0.
  virtual void prepare(io_uring_sqe& entry) noexcept = 0;

  /// Called by the reaper, once per completion that does not come in a run. It records and marks as ready; it never
  /// resumes a coroutine and never asks for a submission entry.
  virtual void complete(completion what) noexcept = 0;

  /// The same of `count` that came one after the other and do not end it. Calls `complete` for each, unless whoever
  /// gets many knows better.
  virtual void complete_run(const io_uring_cqe* first, std::size_t count) noexcept;

  /// The reaper will come to it after some others: whoever has many of its kind fetches what `complete` looks at.
  virtual void prefetch_for_completion() const noexcept {}

  bool idle() const noexcept { return state_ == state::idle; }
  bool in_flight() const noexcept { return state_ == state::in_flight; }

 protected:
  operation() = default;
  ~operation() = default;

 private:
  friend class ring;
  state state_ = state::idle;
  std::uint32_t slot_ = 0;
  std::uint32_t submission_ = 0;  // the entry's place in the submission queue, for a quiet operation
};

}  // namespace uring6::detail

#pragma GCC diagnostic pop
