#include "subjects/raw/multishot_ring.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace bench::raw {
namespace {

constexpr std::uint16_t group = 0;
constexpr std::size_t alignment = 64;

constexpr std::size_t round_up(std::size_t n) {
  return (n + alignment - 1) / alignment * alignment;
}

}  // namespace

multishot_ring::multishot_ring(const shape& wanted) : shape_(wanted) {
  if (shape_.control > 0) shape_.control = round_up(head_room + shape_.control) - head_room;
  stride_ = round_up(head_room + shape_.control + shape_.payload);
  memory_.resize(stride_ * shape_.buffers);
  io_uring_params parameters{};
  parameters.flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  if (shape_.spins) parameters.flags |= IORING_SETUP_TASKRUN_FLAG;
  parameters.cq_entries = std::max(4 * shape_.buffers, 2 * shape_.sockets);
  returned(::io_uring_queue_init_params(64, &ring_, &parameters), "io_uring_queue_init_params");
  returned(::io_uring_register_ring_fd(&ring_), "io_uring_register_ring_fd");
  provide_buffers();
  message_.msg_namelen = name_room;
  message_.msg_controllen = shape_.control;
}

multishot_ring::~multishot_ring() {
  ::io_uring_queue_exit(&ring_);
}

int multishot_ring::returned(int result, const char* what) {
  if (result < 0) errno = -result;
  return check(result, what);
}

void multishot_ring::provide_buffers() {
  const std::size_t size = sizeof(io_uring_buf) * shape_.buffers;
  void* shared = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (shared == MAP_FAILED) throw_errno("mmap");
  buffers_ = static_cast<io_uring_buf_ring*>(shared);
  ::io_uring_buf_ring_init(buffers_);
  io_uring_buf_reg place{};
  place.ring_addr = reinterpret_cast<std::uintptr_t>(shared);
  place.ring_entries = shape_.buffers;
  place.bgid = group;
  returned(::io_uring_register_buf_ring(&ring_, &place, 0), "io_uring_register_buf_ring");
  for (unsigned id = 0; id < shape_.buffers; ++id) release(static_cast<std::uint16_t>(id));
  give_back();
}

io_uring_sqe& multishot_ring::entry() {
  io_uring_sqe* found = ::io_uring_get_sqe(&ring_);
  while (found == nullptr) {
    returned(::io_uring_submit(&ring_), "io_uring_submit");
    found = ::io_uring_get_sqe(&ring_);
  }
  return *found;
}

void multishot_ring::arm(int fd, std::uint64_t socket) {
  io_uring_sqe& sqe = entry();
  ::io_uring_prep_recvmsg_multishot(&sqe, fd, &message_, 0);
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = group;
  ::io_uring_sqe_set_data64(&sqe, socket);
}

void multishot_ring::enter_for_pieces() {
  constexpr unsigned full_piece = 32;  // completions, the kernel's MULTISHOT_MAX_RETRY
  constexpr unsigned pieces = 4;       // as uring6's ring takes
  if (last_reaped_ < full_piece) return enter(true);
  io_uring_cqe* first = nullptr;
  __kernel_timespec none{};
  const int submitted = ::io_uring_submit_and_wait_timeout(&ring_, &first, pieces, &none, nullptr);
  if (submitted != -EINTR && submitted != -ETIME) returned(submitted, "io_uring_enter");
}

void multishot_ring::enter(bool block) {
  if (!block && ::io_uring_sq_ready(&ring_) == 0) {
    io_uring_cqe* first = nullptr;
    ::io_uring_peek_cqe(&ring_, &first);  // enters if the kernel has deferred task work
    return;
  }
  const int submitted = block ? ::io_uring_submit_and_wait(&ring_, 1) : ::io_uring_submit(&ring_);
  if (submitted != -EINTR) returned(submitted, "io_uring_enter");
}

}  // namespace bench::raw
