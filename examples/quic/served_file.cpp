#include "served_file.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace quic {

namespace {

/// -1 if it cannot be opened.
int open_beneath(int root, const std::string& path) {
  open_how how{};
  // without O_NONBLOCK the open of a FIFO would wait for its writer
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

}  // namespace

std::optional<served_file> served_file::open(int root, std::string_view path) {
  path = path.substr(0, path.find('?'));
  if (path.size() < 2 || path.front() != '/') return std::nullopt;
  const int file = open_beneath(root, std::string(path.substr(1)));
  if (file < 0) return std::nullopt;
  std::optional<served_file> opened;
  struct stat about;
  if (::fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
    const auto length = static_cast<std::size_t>(about.st_size);
    void* const at = length > 0 ? ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file, 0) : nullptr;
    if (at != MAP_FAILED) opened = served_file({static_cast<const std::uint8_t*>(at), length});
  }
  ::close(file);
  return opened;
}

served_file::served_file(served_file&& other) noexcept : content_(std::exchange(other.content_, {})) {}

served_file& served_file::operator=(served_file&& other) noexcept {
  std::swap(content_, other.content_);
  return *this;
}

served_file::~served_file() {
  if (!content_.empty()) ::munmap(const_cast<std::uint8_t*>(content_.data()), content_.size());
}

}  // namespace quic
