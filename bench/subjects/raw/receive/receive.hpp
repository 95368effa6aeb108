// The receive loops that a careful C programmer writes.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

std::unique_ptr<subject> receive_by_recvmsg(const settings&);
std::unique_ptr<subject> receive_by_recvmmsg(const settings&);
std::unique_ptr<subject> receive_by_multishot(const settings&);
/// The same, with an enter that lets a full read go on for several pieces of deferred work, as uring6's ring does.
std::unique_ptr<subject> receive_by_multishot_of_pieces(const settings&);
std::unique_ptr<subject> receive_by_gro(const settings&);
std::unique_ptr<subject> receive_by_epoll(const settings&);
std::unique_ptr<subject> receive_by_epoll_and_recvmmsg(const settings&);
std::unique_ptr<subject> receive_on_one_thread(const settings&);
std::unique_ptr<subject> receive_on_two_threads(const settings&);

}  // namespace bench::raw
