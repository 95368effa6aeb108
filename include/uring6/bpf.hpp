// Classic BPF: assembles a socket filter, reads one back, prints it, and runs it without a socket.
//
// The counterpart of golang.org/x/net/bpf. On a UDP socket the filter of packet_conn::attach_bpf sees the packet from
// its UDP header on (offset 8 is the first payload byte); on a raw socket, from the protocol's own header on.
#pragma once

#include "uring6/version.hpp"

#include "uring6/bpf/error.hpp"
#include "uring6/bpf/instruction.hpp"
#include "uring6/bpf/program.hpp"
#include "uring6/bpf/vm.hpp"
