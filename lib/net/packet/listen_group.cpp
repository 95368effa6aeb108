#include "uring6/listen_group.hpp"

#include <fmt/format.h>

#include <cassert>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include "net/packet/network_word.hpp"
#include "runtime/loop/loop_core.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/bpf/program.hpp"

namespace uring6::inline v0 {
namespace {

/// A value that one thread waits for and another thread gives. Not std::promise, which allocates memory to report that
/// no value will come.
template <class T>
class answer {
 public:
  void give(std::optional<T> value, std::exception_ptr failure = nullptr) noexcept {
    const std::scoped_lock lock(mutex_);
    assert(!given_ && "a question has one answer");
    value_ = std::move(value);
    failure_ = std::move(failure);
    given_ = true;
    came_.notify_one();
  }

  /// Rethrows a failure; `errc::closed` if there is neither that nor a value.
  T wait() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return given_; });
    if (failure_) std::rethrow_exception(failure_);
    if (!value_) return fail(errc::closed);
    return std::move(*value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::optional<T> value_;
  std::exception_ptr failure_;
  bool given_ = false;
};

/// Calls `f` on a loop's thread and waits for what it gives, or rethrows what it throws; `errc::closed` if that thread
/// has ended.
template <class F>
auto call_on(const loop_group& group, std::size_t index, F f) -> decltype(f()) {
  using value = decltype(f());
  struct question {
    explicit question(std::shared_ptr<answer<value>> to, F& what) noexcept : answer_(std::move(to)), f_(&what) {}
    question(question&&) noexcept = default;
    ~question() {
      if (answer_) answer_->give({});  // the loop has ended, and destroys the question without running it
    }
    void operator()() noexcept {
      assert(answer_ && "a question is asked once");
      const auto to = std::exchange(answer_, nullptr);
      try {
        to->give((*f_)());
      } catch (...) {
        to->give({}, std::current_exception());
      }
    }
    std::shared_ptr<answer<value>> answer_;
    F* f_;
  };
  const auto given = std::make_shared<answer<value>>();
  group.post(index, question(given, f));
  return given->wait();
}

/// Closes a conn on its loop's thread, whichever thread drops the last pointer to it. The message for that is allocated
/// with the conn, so that dropping it cannot fail.
class ender {
 public:
  explicit ender(std::shared_ptr<detail::loop_core> loop)
      : loop_(std::move(loop)), message_(std::make_unique<last_message>()) {}

  void operator()(packet_conn* conn) noexcept {
    assert(conn && message_ && "a conn ends once");
    message_->conn.reset(conn);
    if (!loop_->check_owner()) return message_.reset();
    loop_->post(std::move(message_));
  }

 private:
  // A loop that has ended destroys the message without running it; it has closed the conn before.
  struct last_message final : detail::inbox_message {
    void run() noexcept override { conn.reset(); }
    std::unique_ptr<packet_conn> conn;
  };

  std::shared_ptr<detail::loop_core> loop_;
  std::unique_ptr<last_message> message_;
};

result<std::vector<sock_filter>> steering_program(const loop_group& group, const listen_group_options& options) {
  bpf::program program = options.program;
  if (program.empty() && options.by == steering::cpu) program = steer_by_cpu(group);
  std::vector<sock_filter> filter;
  if (program.empty()) return filter;
  const auto raw = bpf::assemble(program);
  if (!raw) return fail(raw.error());
  if (const auto sound = bpf::check(*raw); !sound) return fail(sound.error());
  for (const bpf::raw_instruction& each : *raw) filter.push_back({each.op, each.jt, each.jf, each.k});
  return filter;
}

}  // namespace

bpf::program steer_by_cpu(const loop_group& group) {
  assert(group.size() > 0 && "the program divides by the number of loops");
  bpf::program program{bpf::load_extension{bpf::extension::cpu_id}};
  for (std::size_t i = 0; i < group.size(); ++i) {
    for (const int cpu : group.cpus(i)) {
      program.push_back(bpf::jump_if{.value = static_cast<std::uint32_t>(cpu), .skip_false = 1});
      program.push_back(bpf::ret_constant{static_cast<std::uint32_t>(i)});
    }
  }
  program.push_back(bpf::alu_op_constant{bpf::alu_op::mod, static_cast<std::uint32_t>(group.size())});
  program.push_back(bpf::ret_a{});
  return program;
}

namespace {

result<std::vector<std::shared_ptr<packet_conn>>> open_all(loop_group& group, std::string_view network,
                                                           std::string_view address,
                                                           const listen_group_options& options) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].core()->runs_here()) return fail(std::errc::resource_deadlock_would_occur);
  }
  const auto net = detail::parse_packet_network(network);
  if (!net) return fail(net.error());
  // The kernel gives each raw socket a copy of every packet, and an ICMPv6 identifier to one socket.
  if (net->kind != detail::packet_kind::udp) return fail(std::errc::operation_not_supported);
  auto where = endpoint::parse(address);
  if (!where) return fail(where.error());
  const auto filter = steering_program(group, options);
  if (!filter) return fail(filter.error());
  packet_options each = options.packet;
  each.reuse_port = true;

  std::vector<std::shared_ptr<packet_conn>> opened;
  result<void> done;
  // One after the other: a steering program selects a socket by its place in the order of the binds.
  for (std::size_t i = 0; i < group.size() && done; ++i) {
    const auto open = [&]() -> result<std::shared_ptr<packet_conn>> {
      auto pc = listen_packet(group[i], network, *where, each);
      if (!pc) return fail(pc);
      ender end(group[i].core());
      return std::shared_ptr<packet_conn>(new packet_conn(std::move(*pc)), std::move(end));
    };
    auto one = call_on(group, i, open);
    if (one) {
      opened.push_back(std::move(*one));
      if (i == 0) {
        const auto chosen = opened.front()->local_endpoint();
        if (!chosen) {
          done = fail(chosen);
        } else {
          where->port = chosen->port;
        }
        if (done && !filter->empty()) {
          const auto attached = set_option(opened.front()->native_handle(), option::attach_reuse_port_filter,
                                           std::span<const sock_filter>(*filter));
          done = attached;
        }
      }
    } else {
      done = fail(one);
    }
  }
  assert((!done || opened.size() == group.size()) && "each loop has a conn");
  if (done) return opened;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    const auto close = [&]() -> result<void> { return opened[i]->close(); };
    try {
      (void)call_on(group, i, close);
    } catch (const std::bad_alloc&) {
      // The conn is closed when `opened` drops it.
    }
  }
  return fail(done);
}

}  // namespace

result<std::vector<std::shared_ptr<packet_conn>>> detail::open_group(loop_group& group, std::string_view network,
                                                                     std::string_view address,
                                                                     const listen_group_options& options) {
  return noted(open_all(group, network, address, options), "listen_group",
               [&] { return fmt::format("{} {}", network, address); });
}

}  // namespace uring6::inline v0
