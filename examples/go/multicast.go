//go:build ignore

// The twin of ../multicast.cpp in Go.
package main

import (
	"fmt"
	"log"
	"net"
	"os"

	"golang.org/x/net/ipv6"
)

func main() {
	if len(os.Args) < 4 {
		os.Exit(2)
	}
	link, err := net.InterfaceByName(os.Args[1])
	if err != nil {
		log.Fatal("multicast: ", err)
	}
	conn, err := net.ListenPacket("udp6", "[::]:"+os.Args[3])
	if err != nil {
		log.Fatal("multicast: ", err)
	}
	pc := ipv6.NewPacketConn(conn)
	told := ipv6.FlagDst | ipv6.FlagInterface | ipv6.FlagHopLimit | ipv6.FlagTrafficClass
	if err := pc.SetControlMessage(told, true); err != nil {
		log.Fatal("multicast: ", err)
	}
	if err := pc.JoinGroup(link, &net.UDPAddr{IP: net.ParseIP(os.Args[2])}); err != nil {
		log.Fatal("multicast: ", err)
	}
	buffer := make([]byte, 2048)
	for {
		n, cm, source, err := pc.ReadFrom(buffer)
		if err != nil {
			continue
		}
		fmt.Printf("%d octets from %v: %v\n", n, source, cm)
	}
}
