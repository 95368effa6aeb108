package main

import (
	"fmt"

	"golang.org/x/net/dns/dnsmessage"
)

// A name server with the zone and the rules of common/dns.hpp, on the parser and the builder of golang.org/x/net,
// and on the calls whose address is a value and takes no memory.
type responder struct {
	endpoint
	hosts map[string]uint16
	query [512]byte
	room  []byte
}

const hostCount = 10000

var (
	apex = dnsmessage.MustNewName("bench.test.")
	soa  = dnsmessage.SOAResource{
		NS: dnsmessage.MustNewName("ns.bench.test."), MBox: dnsmessage.MustNewName("hostmaster.bench.test."),
		Serial: 1, Refresh: 3600, Retry: 900, Expire: 604800, MinTTL: 300,
	}
)

func newResponder() *responder {
	r := &responder{hosts: make(map[string]uint16, hostCount), room: make([]byte, 0, 512)}
	for i := 0; i < hostCount; i++ {
		r.hosts[fmt.Sprintf("h%d.bench.test.", i)] = uint16(i)
	}
	return r
}

// The name in lower case, without an allocation.
func lower(name *dnsmessage.Name) []byte {
	text := name.Data[:name.Length]
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			text[i] = c + ('a' - 'A')
		}
	}
	return text
}

// Whether a name in lower case is the zone's own, or below it.
func inZone(name []byte) bool {
	own := apex.Data[:apex.Length]
	above := len(name) - len(own)
	return above >= 0 && string(name[above:]) == string(own) && (above == 0 || name[above-1] == '.')
}

// The answer to a query; nothing if none is due.
func (r *responder) answer(query []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	asked, err := parser.Start(query)
	if err != nil || asked.Response {
		return nil, nil
	}
	head := dnsmessage.Header{ID: asked.ID, Response: true, OpCode: asked.OpCode, RecursionDesired: asked.RecursionDesired}
	if asked.OpCode != 0 {
		head.RCode = dnsmessage.RCodeNotImplemented
		b := dnsmessage.NewBuilder(r.room, head)
		return b.Finish()
	}
	question, err := parser.Question()
	if _, more := parser.Question(); err != nil || more != dnsmessage.ErrSectionDone {
		head.RCode = dnsmessage.RCodeFormatError
		b := dnsmessage.NewBuilder(r.room, head)
		return b.Finish()
	}
	key := question.Name
	name := lower(&key)
	number, found := r.hosts[string(name)]
	ours := question.Class == dnsmessage.ClassINET && inZone(name)
	head.Authoritative = ours
	switch {
	case !ours:
		head.RCode = dnsmessage.RCodeRefused
	case !found && key.Length != apex.Length:
		head.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(r.room, head)
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(question); err != nil {
		return nil, err
	}
	record := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 3600}
	switch {
	case !ours:
	case found && question.Type == dnsmessage.TypeA:
		if err := b.StartAnswers(); err != nil {
			return nil, err
		}
		err = b.AResource(record, dnsmessage.AResource{A: [4]byte{198, 18, byte(number >> 8), byte(number)}})
	case found && question.Type == dnsmessage.TypeAAAA:
		if err := b.StartAnswers(); err != nil {
			return nil, err
		}
		address := [16]byte{0x20, 0x01, 0, 2, 14: byte(number >> 8), 15: byte(number)}
		err = b.AAAAResource(record, dnsmessage.AAAAResource{AAAA: address})
	default:
		if err := b.StartAuthorities(); err != nil {
			return nil, err
		}
		record.Name, record.TTL = apex, 300
		err = b.SOAResource(record, soa)
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

func (r *responder) runUntil(total uint64) error {
	for r.count.datagrams < total {
		size, source, err := r.udp.ReadFromUDPAddrPort(r.query[:])
		if err != nil {
			return err
		}
		r.count.datagrams++
		answer, err := r.answer(r.query[:size])
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		if _, err := r.udp.WriteToUDPAddrPort(answer, source); err != nil {
			return err
		}
		if r.count.datagrams%256 == 0 {
			publishAllocations()
		}
	}
	return nil
}

// A responder that is ready to serve, without control messages as its peers.
func openResponder() (subject, error) {
	r := newResponder()
	return r, r.open(0)
}
