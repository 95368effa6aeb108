// The Go peers: golang.org/x/net/ipv6, driven like every other subject (subjects/subject_main.cpp says how).
package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var errUnknownSubject = errors.New("no such subject")

const noSuchSubject = 3 // common/board.hpp

type settings struct {
	size    int
	control bool
	gro     bool
	once    bool
	vector  int
	to      []net.Addr
}

func parseSettings(words []string) (settings, error) {
	s := settings{size: 64, vector: 64}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "size":
			s.size, err = strconv.Atoi(value)
		case "control":
			s.control = value == "1"
		case "gro":
			s.gro = value == "1"
		case "once":
			s.once = value == "1"
		case "vector":
			s.vector, err = strconv.Atoi(value)
		case "to":
			for _, text := range strings.Split(value, ",") {
				var port int
				port, err = strconv.Atoi(text)
				s.to = append(s.to, &net.UDPAddr{IP: net.IPv6loopback, Port: port})
			}
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func widenBuffers(udp *net.UDPConn) error {
	raw, err := udp.SyscallConn()
	if err != nil {
		return err
	}
	const bytes = 32 << 20
	return raw.Control(func(fd uintptr) {
		if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, bytes) != nil {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, bytes)
		}
		if syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUFFORCE, bytes) != nil {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, bytes)
		}
	})
}

// The words shared with the harness, as common/board.hpp lays them out.
type board struct {
	consumed    uint64
	_           [56]byte
	allocations uint64
	_           [56]byte
	bad         uint64
	_           [56]byte
}

var shared *board

func mapBoard() error {
	const descriptor = 3
	memory, err := syscall.Mmap(descriptor, 0, int(unsafe.Sizeof(board{})), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	if err == nil {
		shared = (*board)(unsafe.Pointer(&memory[0]))
	}
	return err
}

var heap = []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}

func allocations() uint64 {
	metrics.Read(heap)
	return heap[0].Value.Uint64()
}

func publishAllocations() { atomic.StoreUint64(&shared.allocations, allocations()) }

// Runs commands against one subject and says what came of them.
type session struct {
	subject subject
	target  uint64
}

func (s *session) work(count uint64) error {
	s.target += count
	return s.subject.runUntil(s.target)
}

func (s *session) produce(count, chunk, window uint64) error {
	for sent := uint64(0); sent < count; sent += chunk {
		for sent+chunk > atomic.LoadUint64(&shared.consumed)+window {
			time.Sleep(20 * time.Microsecond)
		}
		if err := s.work(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) consume(count, chunk uint64) error {
	for received := uint64(0); received < count; received += chunk {
		if err := s.work(chunk); err != nil {
			return err
		}
		atomic.AddUint64(&shared.consumed, chunk)
	}
	return nil
}

func (s *session) obey(words []string) error {
	var arguments [3]uint64
	for i, word := range words[1:] {
		value, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return err
		}
		arguments[i] = value
	}
	before, allocated, start := *s.subject.seen(), allocations(), time.Now()
	var err error
	switch words[0] {
	case "work":
		err = s.work(arguments[0])
	case "produce":
		err = s.produce(arguments[0], arguments[1], arguments[2])
	case "consume":
		err = s.consume(arguments[0], arguments[1])
	case "serve":
		return s.subject.runUntil(math.MaxUint64)
	default:
		err = fmt.Errorf("unknown command: %s", words[0])
	}
	if err != nil {
		return err
	}
	ns := time.Since(start).Nanoseconds()
	allocated = allocations() - allocated
	after := s.subject.seen()
	fmt.Printf("done ns=%d datagrams=%d bad=%d sum=%d controls=%d buffers=%d allocations=%d\n", ns,
		after.datagrams-before.datagrams, after.bad-before.bad, after.sequenceSum-before.sequenceSum,
		after.controls-before.controls, after.buffers-before.buffers, allocated)
	return nil
}

func run(arguments []string) error {
	if len(arguments) < 3 {
		return errors.New("usage: ROLE NAME [KEY=VALUE]… (started by bench/run)")
	}
	wanted, err := parseSettings(arguments[3:])
	if err != nil {
		return err
	}
	contender, err := newSubject(arguments[1], arguments[2], wanted)
	if err == errUnknownSubject {
		os.Exit(noSuchSubject)
	}
	if err != nil {
		return err
	}
	if err := mapBoard(); err != nil {
		return err
	}
	fmt.Printf("ready ports=%d\n", contender.port())
	harness := session{subject: contender}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		if err := harness.obey(strings.Fields(commands.Text())); err != nil {
			return err
		}
	}
	return commands.Err()
}

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "bench-go:", err)
		os.Exit(1)
	}
}
