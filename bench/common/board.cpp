#include "common/board.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace bench {

board_memory::board_memory() : fd_(check(::memfd_create("board", MFD_CLOEXEC), "memfd_create")) {
  check(::ftruncate(fd(), sizeof(board)), "ftruncate");
  words_ = new (map_board(fd())) board;
}

board_memory::~board_memory() {
  ::munmap(words_, sizeof(board));
}

board* map_board(int fd) {
  void* memory = ::mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) throw_errno("mmap");
  return static_cast<board*>(memory);
}

}  // namespace bench
