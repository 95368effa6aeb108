//go:build ignore

// The twin of ../burst.cpp in Go.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"golang.org/x/net/ipv6"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	conn, err := net.Dial("udp6", os.Args[1])
	if err != nil {
		log.Fatal("burst: ", err)
	}
	pc := ipv6.NewPacketConn(conn.(net.PacketConn))
	if err := pc.SetControlMessage(ipv6.FlagTrafficClass, true); err != nil {
		log.Fatal("burst: ", err)
	}
	packet := make([]byte, 1200)
	packets := make([]ipv6.Message, 32)
	mark := (&ipv6.ControlMessage{TrafficClass: 2}).Marshal()
	for i := range packets {
		packets[i] = ipv6.Message{Buffers: [][]byte{packet}, OOB: mark}
	}
	sent := 0
	for sent < len(packets) {
		n, err := pc.WriteBatch(packets[sent:], 0)
		if err != nil {
			break
		}
		sent += n
	}
	received := 0
	var marks [4]int
	buffer := make([]byte, 1500)
	for received < len(packets) {
		pc.SetReadDeadline(time.Now().Add(time.Second))
		_, cm, _, err := pc.ReadFrom(buffer)
		if err != nil {
			break
		}
		received++
		marks[cm.TrafficClass&3]++
	}
	fmt.Printf("sent %d, received %d: %d ECT(0), %d CE\n", sent, received, marks[2], marks[3])
}
