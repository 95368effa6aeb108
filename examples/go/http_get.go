//go:build ignore

// The twin of ../http_get.cpp in Go: by its own hands, without net/http, as there.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

func get(host, service, path string) error {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, service), 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	name := host
	if strings.Contains(host, ":") {
		name = "[" + host + "]" // RFC 3986, section 3.2.2
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, name); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, conn)
	return err
}

func main() {
	if len(os.Args) < 4 {
		os.Exit(2)
	}
	if err := get(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal("http_get: ", err)
	}
}
