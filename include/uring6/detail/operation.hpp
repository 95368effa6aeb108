// One request to the kernel. Its owner chooses where it lives, often inside of an awaiter in the coroutine frame. It
// must outlive its final completion. The ring knows it by slot and generation, never by its address.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/export.hpp"

struct io_uring_cqe;
struct io_uring_sqe;

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0::detail {

/// What the kernel posted: the result (negative: -errno) and the IORING_CQE_F_* flags.
struct completion {
  std::int32_t result;
  std::uint32_t flags;

  bool more() const noexcept { return flags & (1U << 1); }  // IORING_CQE_F_MORE
  bool has_buffer() const noexcept { return flags & 1U; }   // IORING_CQE_F_BUFFER
  std::uint16_t buffer_id() const noexcept { return static_cast<std::uint16_t>(flags >> 16); }
};

/// idle -> queued -> in_flight -> idle. While the operation is queued, the hook belongs to the ring.
class URING6_EXPORT operation : public list_hook {
 public:
  enum class state : std::uint8_t { idle, queued, in_flight };

  /// Fills the entry just before the ring hands it to the kernel. Sets everything but user_data.
  ///
  /// With IOSQE_CQE_SKIP_SUCCESS the operation is quiet. Only an operation that cannot be parked (MSG_DONTWAIT) may
  /// be quiet: it is over when the enter that submits it returns. Its failure costs a completion; the reaper reports
  /// its success itself, with result 0.
  virtual void prepare(io_uring_sqe& entry) noexcept = 0;

  /// Called by the reaper, once for each completion that is not part of a run. Records the completion and marks
  /// coroutines as ready. Never resumes a coroutine and never asks for a submission entry.
  virtual void complete(completion what) noexcept = 0;

  /// The same for a run of `count` completions in a row that do not end the operation. Calls `complete` for each; an
  /// operation that gets many overrides it.
  virtual void complete_run(const io_uring_cqe* first, std::size_t count) noexcept;

  /// The reaper will call `complete` after some other completions. A kind of operation with many
  /// instances overrides this to prefetch what `complete` reads.
  URING6_HIDDEN virtual void prefetch_for_completion() const noexcept {}

  URING6_HIDDEN bool idle() const noexcept { return state_ == state::idle; }
  bool in_flight() const noexcept { return state_ == state::in_flight; }

 protected:
  operation() = default;
  operation(operation&& from) noexcept : list_hook(std::move(from)) { assert(from.idle()); }
  ~operation() = default;

 private:
  friend class ring;
  state state_ = state::idle;
  std::uint32_t slot_ = 0;
  std::uint32_t submission_ = 0;  // the entry's index in the submission queue, for a quiet operation
};

}  // namespace uring6::inline v0::detail

#pragma GCC diagnostic pop
