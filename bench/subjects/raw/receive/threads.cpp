// Several sockets, read by recvmmsg from one thread, or from a thread for each of them on a processor of its
// own.
#include "subjects/threads.hpp"
#include "subjects/raw/receive/receive.hpp"

namespace bench::raw {
namespace {

class threaded_receiver : public subject {
 public:
  threaded_receiver(const settings& s, std::size_t threads) : count_(threads), threads_(threads) {
    for (unsigned i = 0; i < s.sockets; ++i) parts_.push_back(receive_by_recvmmsg(s));
  }

  std::vector<std::uint16_t> ports() const override {
    std::vector<std::uint16_t> ports;
    for (const auto& part : parts_) ports.push_back(part->ports().front());
    return ports;
  }

  /// Every socket gets an equal share.
  void run_until(std::uint64_t total) override {
    threads_.run([&](std::size_t thread) {
      for (std::size_t i = thread; i < parts_.size(); i += count_) parts_[i]->run_until(total / parts_.size());
    });
    seen_ = {};
    for (const auto& part : parts_) seen_ += part->seen();
  }

 private:
  std::vector<std::unique_ptr<subject>> parts_;
  std::size_t count_;
  pinned_threads threads_;
};

}  // namespace

std::unique_ptr<subject> receive_on_one_thread(const settings& s) {
  return std::make_unique<threaded_receiver>(s, 1);
}

std::unique_ptr<subject> receive_on_two_threads(const settings& s) {
  return std::make_unique<threaded_receiver>(s, 2);
}

}  // namespace bench::raw
