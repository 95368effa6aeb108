//go:build ignore

// The twin of ../pipeline.cpp in Go.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"sync"
)

func read(conn net.PacketConn, work chan<- string) {
	defer close(work)
	buffer := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			continue
		}
		if n == 0 {
			return
		}
		work <- string(buffer[:n])
	}
}

func count(work <-chan string, sums chan<- int) {
	for text := range work {
		sums <- strings.Count(text, " ") + 1
	}
}

func main() {
	address := "[::1]:7777"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	conn, err := net.ListenPacket("udp6", address)
	if err != nil {
		log.Fatal("pipeline: ", err)
	}
	work := make(chan string, 64)
	sums := make(chan int, 64)
	go read(conn, work)
	var workers sync.WaitGroup
	for i := 0; i < 4; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			count(work, sums)
		}()
	}
	go func() {
		workers.Wait()
		close(sums)
	}()
	all := 0
	for one := range sums {
		all += one
	}
	fmt.Println(all, "words")
}
