// Classic BPF: assemble a socket filter, read one back, print it, and run it without a socket.
//
// The counterpart of golang.org/x/net/bpf. A filter for packet_conn::attach_bpf sees the packet from its UDP
// header on (offset 8 is the first payload byte); on a raw socket it sees it from the protocol's own header on.
#pragma once

#include "uring6/version.hpp"

#include "uring6/bpf/error.hpp"
#include "uring6/bpf/instruction.hpp"
#include "uring6/bpf/program.hpp"
#include "uring6/bpf/vm.hpp"
