#include "uring/readiness/attempts.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace uring6::inline v0::detail {
namespace {

constexpr std::uint64_t current_position = ~std::uint64_t{0};  // of a file, as an entry's offset

template <class T>
T* pointer(std::uint64_t address) noexcept {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

/// The end of an operation by a system call that has just returned.
attempt_result ended_by(std::int64_t returned) noexcept {
  return attempt_result::end(returned < 0 ? -errno : returned);
}

/// The same, but a call that would block waits for the events. With MSG_DONTWAIT in the entry it ends with EAGAIN.
attempt_result ended_or_waits(const ::io_uring_sqe& entry, std::int64_t returned, std::uint32_t events) noexcept {
  if (returned >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK) || (entry.msg_flags & MSG_DONTWAIT))
    return ended_by(returned);
  return attempt_result::wait(events);
}

/// What of these events the descriptor has now; negative errno.
int events_now(int fd, std::uint32_t events) noexcept {
  pollfd asked{.fd = fd, .events = static_cast<short>(events), .revents = 0};
  if (::poll(&asked, 1, 0) < 0) return -errno;
  return asked.revents & POLLNVAL ? -EBADF : asked.revents;
}

/// Makes a descriptor non-blocking and returns its flags of before, or the negative errno.
int make_non_blocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  if (!(flags & O_NONBLOCK) && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  return flags;
}

attempt_result attempt_poll(const request& what) noexcept {
  const std::uint32_t events = what.polled_events();
  const int now = events_now(what.entry.fd, events);
  return now == 0 ? attempt_result::wait(events) : attempt_result::end(now);
}

std::int64_t transfer(const ::io_uring_sqe& entry, int more_flags) noexcept {
  const iovec memory{pointer<void>(entry.addr), entry.len};
  const auto offset = static_cast<off_t>(entry.off);
  const int flags = static_cast<int>(entry.rw_flags) | more_flags;
  return entry.opcode == IORING_OP_READ ? ::preadv2(entry.fd, &memory, 1, offset, flags)
                                        : ::pwritev2(entry.fd, &memory, 1, offset, flags);
}

// A file without a position (a pipe, an eventfd, a socket) refuses an offset; io_uring ignores it.
std::int64_t transfer_at_any_position(::io_uring_sqe& entry, int more_flags) noexcept {
  const std::int64_t returned = transfer(entry, more_flags);
  if (returned >= 0 || errno != ESPIPE || entry.off == current_position) return returned;
  entry.off = current_position;
  return transfer(entry, more_flags);
}

// What made the descriptor ready may be gone, and a terminal may have less room than the write is long.
std::int64_t transfer_non_blocking(::io_uring_sqe& entry) noexcept {
  const int flags = make_non_blocking(entry.fd);
  if (flags < 0) {
    errno = -flags;
    return -1;
  }
  const std::int64_t returned = transfer_at_any_position(entry, 0);
  const int error = errno;
  if (!(flags & O_NONBLOCK)) ::fcntl(entry.fd, F_SETFL, flags);
  errno = error;
  return returned;
}

bool is_regular_file(int fd) noexcept {
  struct stat about {};
  return ::fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

// A regular file gives RWF_NOWAIT only what is cached. As io_uring does, the rest is moved as well: a short read says
// that the file ends there.
attempt_result move_rest(const ::io_uring_sqe& entry, std::int64_t moved) noexcept {
  if (moved == 0 || moved >= entry.len || (entry.rw_flags & RWF_NOWAIT) || !is_regular_file(entry.fd))
    return attempt_result::end(moved);
  ::io_uring_sqe rest = entry;
  rest.addr += static_cast<std::uint64_t>(moved);
  rest.len -= static_cast<std::uint32_t>(moved);
  if (rest.off != current_position) rest.off += static_cast<std::uint64_t>(moved);
  return attempt_result::end(moved + std::max<std::int64_t>(transfer(rest, 0), 0));
}

// A kind of file that does not take RWF_NOWAIT is asked whether it is ready, and is non-blocking during the call.
attempt_result attempt_transfer(request& what) noexcept {
  const bool waits = !(what.entry.rw_flags & RWF_NOWAIT);
  const std::uint32_t events = what.entry.opcode == IORING_OP_READ ? EPOLLIN : EPOLLOUT;
  std::int64_t returned = transfer_at_any_position(what.entry, RWF_NOWAIT);
  if (returned >= 0) return move_rest(what.entry, returned);
  if (waits && errno == EOPNOTSUPP) {
    if (const int now = events_now(what.entry.fd, events); now <= 0)
      return now == 0 ? attempt_result::wait(events) : attempt_result::end(now);
    returned = transfer_non_blocking(what.entry);
  }
  return waits && returned < 0 && errno == EAGAIN ? attempt_result::wait(events) : ended_by(returned);
}

// A listener becomes non-blocking: between its readiness and the call another process may accept.
attempt_result attempt_accept(const request& what, bool is_ready) noexcept {
  const ::io_uring_sqe& entry = what.entry;
  if (!is_ready) {
    if (const int flags = make_non_blocking(entry.fd); flags < 0) return attempt_result::end(flags);
  }
  const int accepted = ::accept4(entry.fd, pointer<sockaddr>(entry.addr), pointer<socklen_t>(entry.addr2),
                                 static_cast<int>(entry.accept_flags));
  return ended_or_waits({}, accepted, EPOLLIN);
}

attempt_result end_of_connect(const request& what) noexcept {
  const int now = events_now(what.entry.fd, POLLOUT);
  if (now == 0) return attempt_result::wait(EPOLLOUT);
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(what.entry.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return ended_by(-1);
  return attempt_result::end(-error);
}

attempt_result attempt_connect(request& what) noexcept {
  if (what.connecting) return end_of_connect(what);
  const ::io_uring_sqe& entry = what.entry;
  const int flags = make_non_blocking(entry.fd);
  if (flags < 0) return attempt_result::end(flags);
  const int code = ::connect(entry.fd, pointer<const sockaddr>(entry.addr), static_cast<socklen_t>(entry.off));
  const int error = code == 0 ? 0 : errno;
  if (!(flags & O_NONBLOCK)) ::fcntl(entry.fd, F_SETFL, flags);  // if that fails, EAGAIN is waited for all the same
  what.connecting = error == EINPROGRESS;
  return what.connecting ? attempt_result::wait(EPOLLOUT) : attempt_result::end(-error);
}

std::int64_t send_once(const request& what) noexcept {
  const ::io_uring_sqe& entry = what.entry;
  const int flags = static_cast<int>(entry.msg_flags) | MSG_DONTWAIT | MSG_NOSIGNAL;  // io_uring sends no SIGPIPE
  if (entry.opcode == IORING_OP_SENDMSG) return ::sendmsg(entry.fd, pointer<const msghdr>(entry.addr), flags);
  const auto* const from = pointer<const std::byte>(entry.addr) + what.transferred;
  return ::sendto(entry.fd, from, entry.len - what.transferred, flags, pointer<const sockaddr>(entry.addr2),
                  entry.addr_len);
}

// With MSG_WAITALL a stream goes on after a part, until all is sent. As with io_uring, what was sent before an error is
// the result; the next operation finds the broken connection.
attempt_result attempt_send(request& what) noexcept {
  const ::io_uring_sqe& entry = what.entry;
  for (;;) {
    const std::int64_t sent = send_once(what);
    if (sent < 0) {
      const attempt_result failed = ended_or_waits(entry, sent, EPOLLOUT);
      if (failed.what == attempt_result::kind::ended && what.transferred > 0)
        return attempt_result::end(what.transferred);
      return failed;
    }
    what.transferred += static_cast<std::uint32_t>(sent);
    const bool part =
        entry.opcode == IORING_OP_SEND && (entry.msg_flags & MSG_WAITALL) && what.transferred < entry.len && sent > 0;
    if (!part) return attempt_result::end(what.transferred);
  }
}

std::int64_t receive_once(const request& what) noexcept {
  const ::io_uring_sqe& entry = what.entry;
  const int flags = static_cast<int>(entry.msg_flags) | MSG_DONTWAIT;
  if (entry.opcode == IORING_OP_RECVMSG) return ::recvmsg(entry.fd, pointer<msghdr>(entry.addr), flags);
  return ::recv(entry.fd, pointer<std::byte>(entry.addr) + what.transferred, entry.len - what.transferred, flags);
}

// As a send does, with MSG_WAITALL a receive from a stream goes on after a part.
attempt_result attempt_receive(request& what) noexcept {
  const ::io_uring_sqe& entry = what.entry;
  for (;;) {
    const std::int64_t got = receive_once(what);
    if (got < 0) {
      const attempt_result failed = ended_or_waits(entry, got, entry.msg_flags & MSG_ERRQUEUE ? EPOLLERR : EPOLLIN);
      if (failed.what == attempt_result::kind::ended && what.transferred > 0)
        return attempt_result::end(what.transferred);
      return failed;
    }
    what.transferred += static_cast<std::uint32_t>(got);
    const bool all = (entry.msg_flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
    const bool part = entry.opcode == IORING_OP_RECV && all && what.transferred < entry.len && got > 0;
    if (!part || !is_stream(entry.fd)) return attempt_result::end(what.transferred);
  }
}

}  // namespace

bool is_stream(int fd) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int check_entry(const ::io_uring_sqe& entry) noexcept {
  const bool receives = entry.opcode == IORING_OP_RECV || entry.opcode == IORING_OP_RECVMSG;
  const unsigned known_flags =
      IOSQE_CQE_SKIP_SUCCESS | IOSQE_ASYNC | (receives ? static_cast<unsigned>(IOSQE_BUFFER_SELECT) : 0U);
  if (entry.flags & ~known_flags) return -EINVAL;
  switch (entry.opcode) {
    case IORING_OP_ACCEPT:
      return entry.ioprio || entry.file_index ? -EINVAL : 0;
    case IORING_OP_OPENAT:
    case IORING_OP_CLOSE:
      return entry.file_index ? -EINVAL : 0;  // it is about a table of the ring's, not about a descriptor
    case IORING_OP_POLL_ADD:
      return entry.len & ~static_cast<std::uint32_t>(IORING_POLL_ADD_MULTI) ? -EINVAL : 0;
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG: {
      // A read that stays armed has no memory of its own.
      const bool stays = entry.ioprio & IORING_RECV_MULTISHOT;
      return stays && !(entry.flags & IOSQE_BUFFER_SELECT) ? -EINVAL : 0;
    }
    case IORING_OP_NOP:
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_CONNECT:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_SHUTDOWN:
    case IORING_OP_STATX:
    case IORING_OP_FSYNC:
      return 0;
    default:
      return -EINVAL;
  }
}

attempt_result attempt_call(request& what, bool is_ready) noexcept {
  const ::io_uring_sqe& entry = what.entry;
  switch (entry.opcode) {
    case IORING_OP_NOP:
      return attempt_result::end(0);
    case IORING_OP_POLL_ADD:
      return attempt_poll(what);
    case IORING_OP_READ:
    case IORING_OP_WRITE:
      return attempt_transfer(what);
    case IORING_OP_ACCEPT:
      return attempt_accept(what, is_ready);
    case IORING_OP_CONNECT:
      return attempt_connect(what);
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
      return attempt_send(what);
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
      return attempt_receive(what);
    case IORING_OP_SHUTDOWN:
      return ended_by(::shutdown(entry.fd, static_cast<int>(entry.len)));
    case IORING_OP_OPENAT:
      return ended_by(::openat(entry.fd, pointer<const char>(entry.addr), static_cast<int>(entry.open_flags),
                               static_cast<mode_t>(entry.len)));
    case IORING_OP_STATX:
      return ended_by(::statx(entry.fd, pointer<const char>(entry.addr), static_cast<int>(entry.statx_flags), entry.len,
                              pointer<struct statx>(entry.off)));
    case IORING_OP_FSYNC:
      return ended_by(entry.fsync_flags & IORING_FSYNC_DATASYNC ? ::fdatasync(entry.fd) : ::fsync(entry.fd));
    case IORING_OP_CLOSE:
      return ended_by(::close(entry.fd));
    default:
      assert(false && "check_entry lets no other operation in");
      return attempt_result::end(-EINVAL);
  }
}

attempt_result attempt_blocking(const request& what) noexcept {
  switch (what.entry.opcode) {
    case IORING_OP_POLL_ADD:
      return attempt_result::end(-EINVAL);  // it was asked for events that do not come
    case IORING_OP_READ:
    case IORING_OP_WRITE:
      return ended_by(transfer(what.entry, 0));
    default:
      return attempt_result::end(-EPERM);
  }
}

}  // namespace uring6::inline v0::detail
