// Catch2's assertions are for one thread: two at the same moment corrupt its state, once in a thousand runs. So every
// assertion of another thread than that of the cases is refused.

#include <cstdlib>
#include <iostream>
#include <thread>

#include <catch2/catch_test_case_info.hpp>
#include <catch2/interfaces/catch_interfaces_reporter.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>

namespace {

class one_thread final : public Catch::EventListenerBase {
 public:
  using EventListenerBase::EventListenerBase;

  void assertionStarting(const Catch::AssertionInfo& info) override {
    if (std::this_thread::get_id() == cases_) return;
    std::cerr << info.lineInfo << ": an assertion on another thread than the cases'; use require() there\n";
    std::abort();
  }

 private:
  const std::thread::id cases_ = std::this_thread::get_id();
};

}  // namespace

CATCH_REGISTER_LISTENER(one_thread)
