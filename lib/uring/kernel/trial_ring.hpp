// A small ring for trials of the kernel's behaviour: multishot reads of sockets into a page of buffers.
#pragma once

#include <liburing.h>
#include <sys/mman.h>

#include <cassert>
#include <cstddef>
#include <cstdint>

namespace uring6::inline v0::detail {

/// The set-up flags of a loop that decide when the kernel posts completions. The other flags size the ring or disable
/// it.
inline constexpr std::uint32_t posting_flags =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

class trial_ring {
 public:
  /// `completions`: entries of the completion queue, a power of two.
  trial_ring(std::uint32_t flags, unsigned completions) noexcept {
    ::io_uring_params parameters{};
    parameters.flags = flags | IORING_SETUP_CQSIZE;
    parameters.cq_entries = completions;
    constexpr unsigned submissions = 4;
    set_up_ = ::io_uring_queue_init_params(submissions, &ring_, &parameters) == 0;
  }
  trial_ring(const trial_ring&) = delete;
  trial_ring& operator=(const trial_ring&) = delete;
  ~trial_ring() {
    if (set_up_) ::io_uring_queue_exit(&ring_);
    if (page_ != MAP_FAILED) ::munmap(page_, page_size);
  }

  /// Registers `count` buffers of `length` octets as group 0. False: the kernel refuses, or there is no memory.
  bool add_buffers(std::uint32_t count, unsigned length) noexcept {
    assert(count * (sizeof(::io_uring_buf) + length) <= page_size);
    page_ =
        set_up_ ? ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (page_ == MAP_FAILED) return false;
    auto* const entries = static_cast<::io_uring_buf_ring*>(page_);
    ::io_uring_buf_ring_init(entries);
    ::io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(entries);
    registration.ring_entries = count;
    if (::io_uring_register_buf_ring(&ring_, &registration, 0) != 0) return false;
    auto* memory = static_cast<std::byte*>(page_) + count * sizeof(::io_uring_buf);
    for (std::uint32_t i = 0; i < count; ++i, memory += length) {
      ::io_uring_buf_ring_add(entries, memory, length, static_cast<unsigned short>(i), ::io_uring_buf_ring_mask(count),
                              static_cast<int>(i));
    }
    ::io_uring_buf_ring_advance(entries, static_cast<int>(count));
    return true;
  }

  /// Queues a multishot read of the socket into these buffers. Precondition: fewer than four are queued.
  void add_read(int socket, std::uint64_t user_data, int flags) noexcept {
    ::io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    assert(entry && "the trial queues more reads than the ring has entries");
    ::io_uring_prep_recv_multishot(entry, socket, nullptr, 0, flags);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->user_data = user_data;
  }

  /// Submits the queued reads. The kernel does not run deferred task work. False: it refuses.
  bool submit() noexcept { return ::io_uring_submit(&ring_) >= 0; }
  /// Submits the queued reads, and lets the kernel run deferred task work. False: it refuses.
  bool submit_and_run() noexcept { return ::io_uring_submit_and_get_events(&ring_) >= 0; }

  /// Calls `f` for each completion in the queue.
  template <class F>
  void for_each_completion(F&& f) noexcept {
    unsigned head = 0;
    ::io_uring_cqe* each = nullptr;
    io_uring_for_each_cqe(&ring_, head, each) f(*each);
  }

 private:
  static constexpr std::size_t page_size = 4096;  // octets; the kernel wants the ring of buffers to begin a page

  ::io_uring ring_{};
  bool set_up_ = false;
  void* page_ = MAP_FAILED;
};

}  // namespace uring6::inline v0::detail
