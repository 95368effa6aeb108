//go:build ignore

// The twin of ../ping.cpp in Go.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"
)

func reply(conn *icmp.PacketConn, buffer []byte, number int) (int, net.Addr, error) {
	for {
		n, source, err := conn.ReadFrom(buffer)
		if err != nil {
			return 0, nil, err
		}
		message, err := icmp.ParseMessage(58, buffer[:n])
		if err != nil || message.Type != ipv6.ICMPTypeEchoReply {
			continue
		}
		if echo, ok := message.Body.(*icmp.Echo); ok && echo.Seq == number {
			return n, source, nil
		}
	}
}

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	conn, err := icmp.ListenPacket("udp6", "::")
	if err != nil {
		log.Fatal("ping: ", err)
	}
	to := &net.UDPAddr{IP: net.ParseIP(os.Args[1])}
	buffer := make([]byte, 256)
	every := time.NewTicker(time.Second)
	for number := 0; number < 4; number++ {
		began := time.Now()
		request := icmp.Message{Type: ipv6.ICMPTypeEchoRequest, Body: &icmp.Echo{Seq: number}}
		octets, err := request.Marshal(nil)
		if err != nil {
			log.Fatal("ping: ", err)
		}
		conn.WriteTo(octets, to)
		conn.SetReadDeadline(began.Add(time.Second))
		n, source, err := reply(conn, buffer, number)
		if err != nil {
			fmt.Printf("number %d: %v\n", number, err)
		} else {
			fmt.Printf("%d octets from %v: number %d, %v\n", n, source, number, time.Since(began))
		}
		if number < 3 {
			<-every.C
		}
	}
}
