//go:build ignore

// The twin of ../echo.cpp in Go.
package main

import (
	"log"
	"net"
	"os"

	"golang.org/x/net/ipv6"
)

func main() {
	address := "[::]:7777"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	conn, err := net.ListenPacket("udp6", address)
	if err != nil {
		log.Fatal("echo: ", err)
	}
	pc := ipv6.NewPacketConn(conn)
	if err := pc.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true); err != nil {
		log.Fatal("echo: ", err)
	}
	buffer := make([]byte, 2048)
	for {
		n, cm, source, err := pc.ReadFrom(buffer)
		if err != nil {
			continue
		}
		reply := &ipv6.ControlMessage{Src: cm.Dst, IfIndex: cm.IfIndex}
		pc.WriteTo(buffer[:n], reply, source)
	}
}
