package main

import (
	"io"
	"net"
	"sync/atomic"
)

// A TCP echo server, a goroutine for each connection.
type streamServer struct {
	listener  *net.TCPListener
	size      int // of a message
	lastOctet int // a connection ends when so many octets were echoed; 0: it goes on
	echoes    atomic.Uint64
	count     tally // of datagrams: stays empty
}

func (s *streamServer) seen() *tally { return &s.count }
func (s *streamServer) port() int    { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *streamServer) open() error {
	listener, err := net.ListenTCP("tcp6", &net.TCPAddr{IP: net.IPv6loopback})
	s.listener = listener
	return err
}

func (s *streamServer) runUntil(uint64) error {
	for {
		peer, err := s.listener.AcceptTCP()
		if err != nil {
			return err
		}
		go s.serve(peer)
	}
}

func (s *streamServer) serve(peer io.ReadWriteCloser) {
	defer peer.Close()
	buffer := make([]byte, s.size)
	for echoed := 0; s.lastOctet == 0 || echoed < s.lastOctet; {
		size, err := peer.Read(buffer)
		if err != nil {
			return
		}
		if _, err := peer.Write(buffer[:size]); err != nil {
			return
		}
		echoed += size
		if s.echoes.Add(1)%256 == 0 {
			publishAllocations()
		}
	}
}
