//go:build ignore

// The twin of ../lines.cpp in Go.
package main

import (
	"bufio"
	"bytes"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

func talk(peer net.Conn) {
	defer peer.Close()
	lines := bufio.NewScanner(peer)
	for lines.Scan() {
		line := append(bytes.ToUpper(lines.Bytes()), '\n')
		if _, err := peer.Write(line); err != nil {
			return
		}
	}
}

func main() {
	address := "[::]:7777"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal("lines: ", err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	var mutex sync.Mutex
	peers := map[net.Conn]bool{}
	var talks sync.WaitGroup
	go func() {
		<-end
		listener.Close()
	}()
	for {
		peer, err := listener.Accept()
		if err != nil {
			break
		}
		mutex.Lock()
		peers[peer] = true
		mutex.Unlock()
		talks.Add(1)
		go func() {
			defer talks.Done()
			talk(peer)
			mutex.Lock()
			delete(peers, peer)
			mutex.Unlock()
		}()
	}
	mutex.Lock()
	for peer := range peers {
		peer.Close()
	}
	mutex.Unlock()
	talks.Wait()
}
