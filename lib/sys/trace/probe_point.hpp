// Static probe points (USDT, provider "uring6") for bpftrace, perf and gdb: tools/bpftrace. Each is one nop, and a note
// in the library's file; the Meson option `probes` leaves them out.
//
// An argument is a value that the code has at hand, because what it takes to make one is paid without a tracer, too.
//
//     turn_begin      loop
//     turn_end        loop, coroutines and completions of the turn
//     read_armed      descriptor
//     read_ended      descriptor, result of the kernel (-errno; 0: an empty datagram)
//     datagrams_received   descriptor, octets of the buffer with its headers (one datagram, or a train)
//     train_sent      descriptor, result of the kernel (-errno if negative), datagrams: 1 of a lone one
//     train_refused   descriptor, result of the kernel (-errno), octets of each datagram
#pragma once

#if URING6_PROBES
// A macro, because a probe's name becomes a part of an assembler directive.
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define URING6_PROBE(name, ...) STAP_PROBEV(uring6, name, __VA_ARGS__)
#else
#define URING6_PROBE(name, ...) static_cast<void>(0)
#endif
