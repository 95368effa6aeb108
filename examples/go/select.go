//go:build ignore

// The twin of ../select.cpp in Go.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func read(conn net.PacketConn, each chan<- []byte) {
	for {
		buffer := make([]byte, 2048)
		n, _, err := conn.ReadFrom(buffer)
		if err == nil {
			each <- buffer[:n]
		}
	}
}

func main() {
	address := "[::1]:7777"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	conn, err := net.ListenPacket("udp6", address)
	if err != nil {
		log.Fatal("select: ", err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	each := make(chan []byte)
	go read(conn, each)
	every := time.NewTicker(time.Second)
	for datagrams := 0; ; {
		select {
		case <-each:
			datagrams++
		case <-every.C:
			fmt.Println(datagrams, "datagrams so far")
		case <-end:
			fmt.Println(datagrams, "datagrams")
			return
		}
	}
}
