#include "served_file.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace quic {

namespace {

/// A descriptor that ends with the object; -1: none.
struct opened {
  explicit opened(int which) : file(which) {}
  opened(const opened&) = delete;
  opened& operator=(const opened&) = delete;
  ~opened() {
    if (file >= 0) ::close(file);
  }
  int file;
};

int open_beneath(int root, const std::string& path) {
  open_how how{};
  // without O_NONBLOCK the open of a FIFO would wait for its writer
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

/// Whether openat2 fails with `number` because of the path.
bool is_of_path(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:  // out of the directory
    case EACCES:
    case ENXIO:  // a Unix socket
    case ENODEV:
      return true;
    default:
      return false;
  }
}

}  // namespace

served_file::served_file(int file, const struct stat& about) : about_(about) {
  const auto length = static_cast<std::size_t>(about.st_size);
  if (length == 0) return;
  void* const at = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) throw std::system_error(errno, std::system_category(), "mmap");
  content_ = {static_cast<const std::uint8_t*>(at), length};
}

served_file::~served_file() {
  if (!content_.empty()) ::munmap(const_cast<std::uint8_t*>(content_.data()), content_.size());
}

bool served_file::is(const struct stat& about) const {
  return about.st_dev == about_.st_dev && about.st_ino == about_.st_ino && about.st_size == about_.st_size &&
         about.st_mtim.tv_sec == about_.st_mtim.tv_sec && about.st_mtim.tv_nsec == about_.st_mtim.tv_nsec;
}

served_files::served_files(const char* path) : root_(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (root_ < 0) throw std::system_error(errno, std::system_category(), path);
}

served_files::~served_files() {
  ::close(root_);
}

std::shared_ptr<const served_file> served_files::open(std::string_view path) {
  path = path.substr(0, path.find('?'));
  if (path.size() < 2 || path.front() != '/') return nullptr;
  const opened found(open_beneath(root_, std::string(path.substr(1))));
  if (found.file < 0) {
    if (is_of_path(errno)) return nullptr;
    throw std::system_error(errno, std::system_category(), "openat2");
  }
  struct stat about;
  if (::fstat(found.file, &about) != 0) throw std::system_error(errno, std::system_category(), "fstat");
  if (!S_ISREG(about.st_mode)) return nullptr;
  for (const auto& each : kept_) {
    if (each && each->is(about)) return each;
  }
  auto made = std::make_shared<const served_file>(found.file, about);
  kept_[std::exchange(oldest_, (oldest_ + 1) % kept_.size())] = made;
  return made;
}

}  // namespace quic
