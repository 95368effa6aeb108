//go:build ignore

// The twin of ../all_cpus.cpp in Go: a socket for each processor. Go's threads are pinned to none.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv6"
)

const reusePort = 15 // SO_REUSEPORT, which package syscall does not name

func serve(pc *ipv6.PacketConn) {
	buffer := make([]byte, 2048)
	for {
		n, cm, source, err := pc.ReadFrom(buffer)
		if err, ok := err.(net.Error); ok && err.Timeout() {
			return
		}
		if err != nil {
			continue
		}
		reply := &ipv6.ControlMessage{Src: cm.Dst, IfIndex: cm.IfIndex}
		pc.WriteTo(buffer[:n], reply, source)
	}
}

func main() {
	address := "[::]:7777"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	share := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) {
			set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1)
		})
		if err != nil {
			return err
		}
		return set
	}}
	var servers sync.WaitGroup
	var conns []*ipv6.PacketConn
	for i := 0; i < runtime.NumCPU(); i++ {
		conn, err := share.ListenPacket(context.Background(), "udp6", address)
		if err != nil {
			log.Fatal("all_cpus: ", err)
		}
		pc := ipv6.NewPacketConn(conn)
		if err := pc.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true); err != nil {
			log.Fatal("all_cpus: ", err)
		}
		conns = append(conns, pc)
		servers.Add(1)
		go func() {
			defer servers.Done()
			serve(pc)
		}()
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	for _, pc := range conns {
		pc.SetReadDeadline(time.Now())
	}
	servers.Wait()
}
