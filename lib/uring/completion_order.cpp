#include "uring/completion_order.hpp"

#include <liburing.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstddef>

#include "sys/file_descriptor.hpp"

namespace uring6::detail {
namespace {

// Of the loop's flags those that decide when completions are posted. The others size the ring or disable it.
constexpr std::uint32_t posting_flags =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

constexpr std::uint64_t empty_read = 1;  // user_data of the read that the empty datagram ends
constexpr std::uint64_t data_read = 2;   // user_data of the read that takes the data

/// A ring with the page that its receive buffers are in.
class trial_ring {
 public:
  explicit trial_ring(std::uint32_t flags) noexcept {
    ::io_uring_params parameters{};
    parameters.flags = flags;
    constexpr unsigned entries = 4;  // two reads, and up to three completions
    set_up_ = ::io_uring_queue_init_params(entries, &ring_, &parameters) == 0;
  }
  trial_ring(const trial_ring&) = delete;
  trial_ring& operator=(const trial_ring&) = delete;
  ~trial_ring() {
    if (set_up_) ::io_uring_queue_exit(&ring_);
    if (page_ != MAP_FAILED) ::munmap(page_, page_size);
  }

  /// Registers the buffers as group 0. False: the kernel refuses, or there is no memory.
  bool add_buffers() noexcept {
    constexpr std::uint32_t count = 4;
    constexpr unsigned length = 64;  // octets of each
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

  /// The kind of read that goes along with an armed one while empty datagrams come.
  void add_read(int socket, std::uint64_t user_data) noexcept {
    ::io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_recv_multishot(entry, socket, nullptr, 0, MSG_DONTWAIT);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->user_data = user_data;
  }

  /// Which of both reads is told of first; nothing unless both did what they were made for.
  std::optional<std::uint64_t> first_told() noexcept {
    if (::io_uring_submit_and_get_events(&ring_) < 0) return {};
    bool ended = false;
    bool took_data = false;
    std::optional<std::uint64_t> first;
    unsigned head = 0;
    ::io_uring_cqe* each = nullptr;
    io_uring_for_each_cqe(&ring_, head, each) {
      if (!first) first = each->user_data;
      ended |= each->user_data == empty_read && each->res == 0;
      took_data |= each->user_data == data_read && each->res == 1;
    }
    return ended && took_data ? first : std::nullopt;
  }

 private:
  static constexpr std::size_t page_size = 4096;  // octets; the kernel wants the ring of buffers to begin a page

  ::io_uring ring_{};
  bool set_up_ = false;
  void* page_ = MAP_FAILED;
};

}  // namespace

std::optional<bool> try_completion_order(std::uint32_t setup_flags) noexcept {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return {};
  const file_descriptor reader(pair[0]);
  const file_descriptor writer(pair[1]);
  trial_ring ring(setup_flags & posting_flags);
  if (!ring.add_buffers()) return {};
  if (::send(writer.get(), "", 0, 0) != 0 || ::send(writer.get(), "x", 1, 0) != 1) return {};
  ring.add_read(reader.get(), empty_read);
  ring.add_read(reader.get(), data_read);
  const auto first = ring.first_told();
  if (!first) return {};
  return *first == empty_read;
}

bool completions_keep_order(std::uint32_t setup_flags) noexcept {
  enum class answer : std::uint8_t { unknown, kept, broken };
  static std::atomic<answer> known = answer::unknown;
  if (const answer before = known.load(std::memory_order_relaxed); before != answer::unknown)
    return before == answer::kept;
  const auto kept = try_completion_order(setup_flags);
  if (kept) known.store(*kept ? answer::kept : answer::broken, std::memory_order_relaxed);
  return kept.value_or(false);
}

}  // namespace uring6::detail
