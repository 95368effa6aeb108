package main

import (
	"net"

	"golang.org/x/net/ipv6"
)

// A contender; see subjects/subject.hpp.
type subject interface {
	// Works until its tally has reached total.
	runUntil(total uint64) error
	seen() *tally
	port() int
}

// One socket on ::1 with the options that every subject has.
type endpoint struct {
	udp   *net.UDPConn
	conn  *ipv6.PacketConn
	count tally
}

func (e *endpoint) seen() *tally { return &e.count }
func (e *endpoint) port() int    { return e.udp.LocalAddr().(*net.UDPAddr).Port }

func (e *endpoint) open(flags ipv6.ControlFlags) error {
	udp, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		return err
	}
	e.udp, e.conn = udp, ipv6.NewPacketConn(udp)
	if err := widenBuffers(udp); err != nil || flags == 0 {
		return err
	}
	return e.conn.SetControlMessage(flags, true)
}

const allFlags = ipv6.FlagTrafficClass | ipv6.FlagHopLimit | ipv6.FlagDst | ipv6.FlagInterface

// Receives with ReadFrom.
type readFrom struct {
	endpoint
	payload [largestPayload]byte
	parses  bool
}

func (r *readFrom) runUntil(total uint64) error {
	for r.count.datagrams < total {
		size, cm, _, err := r.conn.ReadFrom(r.payload[:])
		if err != nil {
			return err
		}
		if r.parses {
			r.count.takeControl(cm)
		}
		r.count.takeTrain(r.payload[:size], 0)
	}
	return nil
}

// Receives with ReadBatch.
type readBatch struct {
	endpoint
	messages []ipv6.Message
	parses   bool
}

func newMessages(count, size int, parses bool) []ipv6.Message {
	messages := make([]ipv6.Message, count)
	for i := range messages {
		payload := make([]byte, size)
		copy(payload[stampSize:], pattern[stampSize:])
		messages[i].Buffers = [][]byte{payload}
		if parses {
			messages[i].OOB = ipv6.NewControlMessage(allFlags)
		}
	}
	return messages
}

func (r *readBatch) runUntil(total uint64) error {
	for r.count.datagrams < total {
		got, err := r.conn.ReadBatch(r.messages, 0)
		if err != nil {
			return err
		}
		for i := range r.messages[:got] {
			m := &r.messages[i]
			if r.parses {
				var cm ipv6.ControlMessage
				if err := cm.Parse(m.OOB[:m.NN]); err != nil {
					return err
				}
				r.count.takeControl(&cm)
			}
			r.count.takeTrain(m.Buffers[0][:m.N], 0)
		}
	}
	return nil
}

// Sends with WriteTo.
type writeTo struct {
	endpoint
	payload []byte
	to      []net.Addr
}

func (w *writeTo) runUntil(total uint64) error {
	for ; w.count.datagrams < total; w.count.datagrams++ {
		writeStamp(w.payload, w.count.datagrams)
		if _, err := w.conn.WriteTo(w.payload, nil, w.to[w.count.datagrams%uint64(len(w.to))]); err != nil {
			return err
		}
	}
	return nil
}

// Sends with WriteBatch.
type writeBatch struct {
	endpoint
	messages []ipv6.Message
	to       []net.Addr
}

func (w *writeBatch) runUntil(total uint64) error {
	for w.count.datagrams < total {
		batch := w.messages
		if left := total - w.count.datagrams; left < uint64(len(batch)) {
			batch = batch[:left]
		}
		for i := range batch {
			sequence := w.count.datagrams + uint64(i)
			writeStamp(batch[i].Buffers[0], sequence)
			batch[i].Addr = w.to[sequence%uint64(len(w.to))]
		}
		sent, err := w.conn.WriteBatch(batch, 0)
		if err != nil {
			return err
		}
		w.count.datagrams += uint64(sent)
	}
	return nil
}

// An echo server that answers from the address and the interface that a datagram came to.
type echo struct {
	endpoint
	payload [largestPayload]byte
}

func (e *echo) runUntil(total uint64) error {
	var reply ipv6.ControlMessage
	for e.count.datagrams < total {
		size, cm, source, err := e.conn.ReadFrom(e.payload[:])
		if err != nil {
			return err
		}
		e.count.takeTrain(e.payload[:size], 0)
		reply.Src, reply.IfIndex = cm.Dst, cm.IfIndex
		if _, err := e.conn.WriteTo(e.payload[:size], &reply, source); err != nil {
			return err
		}
		if e.count.datagrams%256 == 0 {
			publishAllocations()
		}
	}
	return nil
}

func newSubject(role, name string, s settings) (subject, error) {
	var flags ipv6.ControlFlags
	if s.control {
		flags = allFlags
	}
	switch role + " " + name {
	case "receive go ReadFrom":
		r := &readFrom{parses: s.control}
		return r, r.open(flags)
	case "receive go ReadBatch":
		r := &readBatch{parses: s.control, messages: newMessages(s.vector, largestPayload, s.control)}
		return r, r.open(flags)
	case "receive go ReadMsgUDPAddrPort":
		r := &readMsg{parses: s.control}
		return r, r.open(s)
	case "send go WriteTo":
		w := &writeTo{payload: newMessages(1, s.size, false)[0].Buffers[0], to: s.to}
		return w, w.open(0)
	case "send go WriteBatch":
		w := &writeBatch{messages: newMessages(s.vector, s.size, false), to: s.to}
		return w, w.open(0)
	case "dns go ReadFromUDPAddrPort":
		return openResponder()
	case "echo go ReadFrom":
		e := &echo{}
		return e, e.open(ipv6.FlagDst | ipv6.FlagInterface)
	case "tcp go net":
		t := &streamServer{size: s.size}
		if s.once {
			t.lastOctet = s.size
		}
		return t, t.open()
	}
	return nil, errUnknownSubject
}
