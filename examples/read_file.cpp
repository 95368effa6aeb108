// Reads a file by operations of its own: openat, statx, read (uring6/ring.hpp).
//
//     read_file /etc/hostname
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <uring6/ring.hpp>
#include <uring6/uring6.hpp>

namespace u6 = uring6;

u6::task<u6::result<std::string>> contents_of(const char* path) {
  const auto fd = co_await u6::submit(
      [=](io_uring_sqe& entry) { io_uring_prep_openat(&entry, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0); });
  if (!fd) co_return u6::fail(fd.error());
  const int file = static_cast<int>(*fd);

  struct statx about {};
  const auto known = co_await u6::submit(
      [&](io_uring_sqe& entry) { io_uring_prep_statx(&entry, file, "", AT_EMPTY_PATH, STATX_SIZE, &about); });
  std::string text(known ? about.stx_size : 0, '\0');
  const auto count = co_await u6::fd::read_at(file, std::as_writable_bytes(std::span(text)), 0);

  ::close(file);  // not by the ring, which does nothing after a stop
  if (!known) co_return u6::fail(known.error());
  if (!count) co_return u6::fail(count.error());
  text.resize(*count);
  co_return text;
}

int main(int argc, char** argv) {
  if (argc < 2) return EXIT_FAILURE;
  u6::event_loop loop;
  const auto text = loop.run(contents_of(argv[1]));
  if (!text) {
    fmt::print(stderr, "read_file {}: {}\n", argv[1], text.error().message());
    return EXIT_FAILURE;
  }
  fmt::print("{}", *text);
}
