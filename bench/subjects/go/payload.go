package main

import (
	"bytes"
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv6"
)

// The rules of common/payload.hpp: a stamp of sequence number, size and check word, then a pattern by position.
const (
	stampSize         = 16
	largestPayload    = 2048
	fullCheckInterval = 64
)

var pattern = func() (p [largestPayload]byte) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return
}()

func checkWord(sequence uint64, size int) uint32 {
	return uint32(((sequence + uint64(size)) * 0x9E3779B97F4A7C15) >> 32)
}

func writeStamp(payload []byte, sequence uint64) {
	binary.LittleEndian.PutUint64(payload, sequence)
	binary.LittleEndian.PutUint32(payload[8:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(payload[12:], checkWord(sequence, len(payload)))
}

// What a receiver has seen so far, or a sender has sent.
type tally struct {
	datagrams, bad, sequenceSum, controls, buffers uint64
}

func (t *tally) take(payload []byte) {
	size := len(payload)
	good := size >= stampSize && size <= largestPayload
	var sequence uint64
	if good {
		sequence = binary.LittleEndian.Uint64(payload)
		good = binary.LittleEndian.Uint32(payload[8:]) == uint32(size) &&
			binary.LittleEndian.Uint32(payload[12:]) == checkWord(sequence, size)
	}
	if good && sequence%fullCheckInterval == 0 {
		good = bytes.Equal(payload[stampSize:], pattern[stampSize:size])
	}
	t.datagrams++
	t.sequenceSum += sequence
	if !good {
		t.bad++
	}
}

// All the datagrams of one buffer, cut every segment bytes; 0: a single datagram.
func (t *tally) takeTrain(payload []byte, segment int) {
	t.buffers++
	if segment == 0 {
		segment = len(payload)
	}
	for len(payload) > segment {
		t.take(payload[:segment])
		payload = payload[segment:]
	}
	t.take(payload)
}

// The control values that the harness sends: common/control.hpp.
const (
	sentTrafficClass = 0x28
	sentHopLimit     = 61
	loopbackIndex    = 1
)

func (t *tally) takeControl(cm *ipv6.ControlMessage) {
	if cm != nil && cm.TrafficClass == sentTrafficClass && cm.HopLimit == sentHopLimit &&
		cm.IfIndex == loopbackIndex && cm.Dst.Equal(net.IPv6loopback) {
		t.controls++
	}
}
