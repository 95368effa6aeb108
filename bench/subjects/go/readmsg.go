package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"syscall"
)

// Receives as an expert does: ReadMsgUDPAddrPort, whose address is a value and takes no memory, trains whole (UDP_GRO),
// and control messages parsed in place.
type readMsg struct {
	endpoint
	payload [65536]byte
	control [256]byte
	parses  bool
}

const (
	solUDP = 17
	udpGRO = 104

	// The kernel's alignment of control messages, and the size of their headers: cmsg(3) of 64-bit machines.
	controlAlign  = 8
	controlHeader = 16
)

func (r *readMsg) open(s settings) error {
	if err := r.endpoint.open(0); err != nil {
		return err
	}
	raw, err := r.udp.SyscallConn()
	if err != nil {
		return err
	}
	options := [][2]int{}
	if s.control {
		options = append(options, [2]int{syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO},
			[2]int{syscall.IPPROTO_IPV6, syscall.IPV6_RECVTCLASS}, [2]int{syscall.IPPROTO_IPV6, syscall.IPV6_RECVHOPLIMIT})
	}
	if s.gro {
		options = append(options, [2]int{solUDP, udpGRO})
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for _, option := range options {
			if err := syscall.SetsockoptInt(int(fd), option[0], option[1], 1); err != nil {
				failed = err
			}
		}
	})
	if err != nil {
		return err
	}
	return failed
}

func (r *readMsg) runUntil(total uint64) error {
	for r.count.datagrams < total {
		size, controlSize, _, _, err := r.udp.ReadMsgUDPAddrPort(r.payload[:], r.control[:])
		if err != nil {
			return err
		}
		got := parseControl(r.control[:controlSize])
		if r.parses && got.asSent() {
			r.count.controls++
		}
		r.count.takeTrain(r.payload[:size], got.segment)
	}
	return nil
}

// The control message of one datagram, parsed; see common/control.hpp.
type control struct {
	destination            []byte
	index                  uint32
	trafficClass, hopLimit int32
	segment                int
}

func (c *control) asSent() bool {
	return c.index == loopbackIndex && c.trafficClass == sentTrafficClass && c.hopLimit == sentHopLimit &&
		bytes.Equal(c.destination, net.IPv6loopback)
}

func parseControl(all []byte) (c control) {
	order := binary.LittleEndian
	for len(all) >= controlHeader {
		length := int(order.Uint64(all))
		if length < controlHeader || length > len(all) {
			return
		}
		level, kind, data := order.Uint32(all[8:]), order.Uint32(all[12:]), all[controlHeader:length]
		switch {
		case level == syscall.IPPROTO_IPV6 && kind == syscall.IPV6_PKTINFO && len(data) >= 20:
			c.destination, c.index = data[:16], order.Uint32(data[16:])
		case level == syscall.IPPROTO_IPV6 && kind == syscall.IPV6_TCLASS && len(data) >= 4:
			c.trafficClass = int32(order.Uint32(data))
		case level == syscall.IPPROTO_IPV6 && kind == syscall.IPV6_HOPLIMIT && len(data) >= 4:
			c.hopLimit = int32(order.Uint32(data))
		case level == solUDP && kind == udpGRO && len(data) >= 4:
			c.segment = int(order.Uint32(data))
		}
		next := (length + controlAlign - 1) &^ (controlAlign - 1)
		if next > len(all) {
			return
		}
		all = all[next:]
	}
	return
}
