// One armed multishot recvmsg into a ring of buffers: io_uring as plain C uses it.
#include <liburing.h>
#include <sys/mman.h>

#include <cerrno>

#include "subjects/raw/receive.hpp"
#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {
namespace {

constexpr std::uint16_t group = 0;
constexpr std::size_t alignment = 64;

constexpr std::size_t round_up(std::size_t n) {
  return (n + alignment - 1) / alignment * alignment;
}

/// Every name and every control area is as large as these, whatever the kernel uses of them.
constexpr std::size_t name_room = 32;
constexpr std::size_t head_room = sizeof(io_uring_recvmsg_out) + name_room;

class multishot_receiver : public socket_subject {
 public:
  explicit multishot_receiver(const settings& s)
      : socket_subject(s),
        parses_(s.control || s.gro),
        control_(parses_ ? round_up(head_room + control_room) - head_room : 0),
        stride_(round_up(head_room + control_ + (s.gro ? 65'535 : largest_payload))),
        count_(s.vector),
        memory_(stride_ * s.vector) {
    io_uring_params wanted{};
    wanted.flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    wanted.cq_entries = 4 * count_;
    returned(::io_uring_queue_init_params(8, &ring_, &wanted), "io_uring_queue_init_params");
    returned(::io_uring_register_ring_fd(&ring_), "io_uring_register_ring_fd");
    provide_buffers();
    message_.msg_namelen = name_room;
    message_.msg_controllen = control_;
    arm();
  }

  ~multishot_receiver() override { ::io_uring_queue_exit(&ring_); }

  void run_until(std::uint64_t total) override {
    while (seen_.datagrams < total) {
      const int submitted = ::io_uring_submit_and_wait(&ring_, 1);
      if (submitted != -EINTR) returned(submitted, "io_uring_submit_and_wait");
      unsigned head = 0;
      unsigned reaped = 0;
      int freed = 0;
      bool ended = false;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        ++reaped;
        ended |= (cqe->flags & IORING_CQE_F_MORE) == 0;
        if (cqe->res < 0 && cqe->res != -ENOBUFS) returned(cqe->res, "recvmsg");
        if ((cqe->flags & IORING_CQE_F_BUFFER) == 0) continue;
        const auto id = static_cast<std::uint16_t>(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        take(buffer(id), static_cast<std::size_t>(cqe->res));
        ::io_uring_buf_ring_add(buffers_, buffer(id), static_cast<unsigned>(stride_), id,
                                ::io_uring_buf_ring_mask(count_), freed++);
      }
      ::io_uring_buf_ring_cq_advance(&ring_, buffers_, freed);
      ::io_uring_cq_advance(&ring_, reaped - static_cast<unsigned>(freed));
      if (ended) arm();
    }
  }

 private:
  static int returned(int result, const char* what) {
    if (result < 0) errno = -result;
    return check(result, what);
  }

  std::byte* buffer(std::uint16_t id) noexcept { return memory_.data() + stride_ * id; }

  void provide_buffers() {
    void* shared =
        ::mmap(nullptr, sizeof(io_uring_buf) * count_, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (shared == MAP_FAILED) throw_errno("mmap");
    buffers_ = static_cast<io_uring_buf_ring*>(shared);
    ::io_uring_buf_ring_init(buffers_);
    io_uring_buf_reg place{};
    place.ring_addr = reinterpret_cast<std::uintptr_t>(shared);
    place.ring_entries = count_;
    place.bgid = group;
    returned(::io_uring_register_buf_ring(&ring_, &place, 0), "io_uring_register_buf_ring");
    for (unsigned i = 0; i < count_; ++i) {
      const auto id = static_cast<std::uint16_t>(i);
      ::io_uring_buf_ring_add(buffers_, buffer(id), static_cast<unsigned>(stride_), id,
                              ::io_uring_buf_ring_mask(count_), static_cast<int>(i));
    }
    ::io_uring_buf_ring_advance(buffers_, static_cast<int>(count_));
  }

  void arm() {
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_recvmsg_multishot(sqe, fd(), &message_, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = group;
  }

  /// Header, name, control and payload lie one after the other, the areas as large as they were asked for.
  void take(std::byte* data, std::size_t filled) {
    io_uring_recvmsg_out header;
    if (filled < head_room + control_) {
      errno = EBADMSG;
      throw_errno("a buffer without its header");
    }
    std::memcpy(&header, data, sizeof header);
    control got;
    if (parses_) {
      msghdr view{};
      view.msg_control = data + head_room;
      view.msg_controllen = header.controllen;
      got = parse_control(view);
      seen_.controls += got.as_sent() ? 1 : 0;
    }
    const std::size_t skipped = head_room + control_;
    seen_.take_train(data + skipped, filled - skipped, static_cast<std::size_t>(got.segment));
  }

  bool parses_;
  std::size_t control_;
  std::size_t stride_;
  unsigned count_;
  std::vector<std::byte> memory_;
  io_uring ring_{};
  io_uring_buf_ring* buffers_ = nullptr;
  msghdr message_{};
};

}  // namespace

std::unique_ptr<subject> receive_by_multishot(const settings& s) {
  return make<multishot_receiver>(s);
}

}  // namespace bench::raw
