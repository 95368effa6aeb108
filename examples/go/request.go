//go:build ignore

// The twin of ../request.cpp in Go.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"time"
)

func ask(conn net.Conn, question string) (string, error) {
	buffer := make([]byte, 2048)
	for patience := 250 * time.Millisecond; patience < 4*time.Second; patience *= 2 {
		conn.Write([]byte(question))
		conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(buffer)
		if err == nil {
			return string(buffer[:n]), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(patience) // refused: the server may be about to start
		}
	}
	return "", os.ErrDeadlineExceeded
}

func main() {
	if len(os.Args) < 3 {
		os.Exit(2)
	}
	conn, err := net.Dial("udp6", os.Args[1])
	if err != nil {
		log.Fatal("request: ", err)
	}
	answer, err := ask(conn, os.Args[2])
	if err != nil {
		log.Fatal("request: ", os.Args[1], ": ", err)
	}
	fmt.Println(answer)
}
