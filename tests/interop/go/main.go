// A peer made of Go's net and golang.org/x/net/ipv6, for the interoperation tests. It says "ready PORT" when it can be
// spoken to, then a line for each datagram.
//
//	peer receive NETWORK ADDRESS COUNT [GROUP INTERFACE [SOURCE]]     one ReadFrom each
//	peer batch   NETWORK ADDRESS COUNT                                ReadBatch
//	peer send    NETWORK DESTINATION [TCLASS,HOPLIMIT,SOURCE,INTERFACE]...    one WriteTo each; "-" is not given
//	peer burst   NETWORK DESTINATION COUNT                            WriteBatch
//	peer dial    ADDRESS                                              TCP: prints what it reads until the end
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/ipv6"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

func link(name string) *net.Interface {
	found, err := net.InterfaceByName(name)
	check(err)
	return found
}

// resolve gives the address as the network wants it: with a port for UDP, without for raw IP.
func resolve(network, address string) net.Addr {
	if strings.HasPrefix(network, "udp") {
		found, err := net.ResolveUDPAddr(network, address)
		check(err)
		return found
	}
	found, err := net.ResolveIPAddr("ip6", address)
	check(err)
	return found
}

func listen(network, address string) (net.PacketConn, *ipv6.PacketConn) {
	conn, err := net.ListenPacket(network, address)
	check(err)
	check(conn.SetDeadline(time.Now().Add(time.Minute)))
	p := ipv6.NewPacketConn(conn)
	check(p.SetControlMessage(ipv6.FlagTrafficClass|ipv6.FlagHopLimit|ipv6.FlagSrc|ipv6.FlagDst|ipv6.FlagInterface, true))
	return conn, p
}

func ready(conn net.PacketConn) {
	port := 0
	if udp, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		port = udp.Port
	}
	fmt.Println("ready", port)
}

// say skips what raw ICMPv6 hears of the neighbourhood.
func say(network string, payload []byte, cm *ipv6.ControlMessage, from net.Addr) bool {
	if strings.HasPrefix(network, "ip6:") && (len(payload) < 5 || payload[0] != 200) {
		return false
	}
	if strings.HasPrefix(network, "ip6:") {
		payload = payload[4:]
	}
	if cm == nil {
		fmt.Printf("%s from %s\n", payload, from)
	} else {
		fmt.Printf("%s tclass=%d hoplim=%d src=%s dst=%s ifindex=%d from %s\n", payload, cm.TrafficClass, cm.HopLimit,
			cm.Src, cm.Dst, cm.IfIndex, from)
	}
	return true
}

func receive(network, address string, count int, group []string) {
	conn, p := listen(network, address)
	defer conn.Close()
	if len(group) >= 2 {
		where := &net.UDPAddr{IP: net.ParseIP(group[0])}
		if len(group) == 3 {
			check(p.JoinSourceSpecificGroup(link(group[1]), where, &net.UDPAddr{IP: net.ParseIP(group[2])}))
		} else {
			check(p.JoinGroup(link(group[1]), where))
		}
	}
	ready(conn)
	buffer := make([]byte, 2048)
	for count > 0 {
		n, cm, from, err := p.ReadFrom(buffer)
		check(err)
		if say(network, buffer[:n], cm, from) {
			count--
		}
	}
}

func batch(network, address string, count int) {
	conn, p := listen(network, address)
	defer conn.Close()
	ready(conn)
	messages := make([]ipv6.Message, 16)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 2048)}
		messages[i].OOB = ipv6.NewControlMessage(ipv6.FlagTrafficClass | ipv6.FlagHopLimit | ipv6.FlagDst | ipv6.FlagInterface)
	}
	for count > 0 {
		n, err := p.ReadBatch(messages, 0)
		check(err)
		for _, m := range messages[:n] {
			var cm ipv6.ControlMessage
			check(cm.Parse(m.OOB[:m.NN]))
			if say(network, m.Buffers[0][:m.N], &cm, m.Addr) {
				count--
			}
		}
	}
}

func text(network string, i int) []byte {
	payload := []byte(fmt.Sprintf("go-%d", i))
	if strings.HasPrefix(network, "ip6:") {
		return append([]byte{200, 0, 0, 0}, payload...)
	}
	return payload
}

func send(network, destination string, specs []string) {
	conn, p := listen(network, map[bool]string{true: "[::]:0", false: "::"}[strings.HasPrefix(network, "udp")])
	defer conn.Close()
	ready(conn)
	to := resolve(network, destination)
	for i, spec := range specs {
		var cm ipv6.ControlMessage
		for field, value := range strings.Split(spec, ",") {
			switch {
			case value == "-":
			case field == 0:
				cm.TrafficClass = number(value)
			case field == 1:
				cm.HopLimit = number(value)
			case field == 2:
				cm.Src = net.ParseIP(value)
			case field == 3:
				cm.IfIndex = link(value).Index
			}
		}
		_, err := p.WriteTo(text(network, i), &cm, to)
		check(err)
	}
}

func burst(network, destination string, count int) {
	conn, p := listen(network, "[::]:0")
	defer conn.Close()
	ready(conn)
	cm := ipv6.ControlMessage{TrafficClass: 0x28, HopLimit: 9}
	messages := make([]ipv6.Message, count)
	for i := range messages {
		messages[i].Buffers = [][]byte{text(network, i)}
		messages[i].OOB = cm.Marshal()
		messages[i].Addr = resolve(network, destination)
	}
	for len(messages) > 0 {
		n, err := p.WriteBatch(messages, 0)
		check(err)
		messages = messages[n:]
	}
}

func dial(address string) {
	conn, err := net.DialTimeout("tcp6", address, time.Minute)
	check(err)
	check(conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = conn.Write([]byte("hello from Go"))
	check(err)
	check(conn.(*net.TCPConn).CloseWrite())
	all, err := io.ReadAll(conn)
	check(err)
	fmt.Printf("%s\n", all)
}

func main() {
	log.SetFlags(0)
	words := os.Args
	switch {
	case len(words) >= 5 && words[1] == "receive":
		receive(words[2], words[3], number(words[4]), words[5:])
	case len(words) == 5 && words[1] == "batch":
		batch(words[2], words[3], number(words[4]))
	case len(words) >= 4 && words[1] == "send":
		send(words[2], words[3], words[4:])
	case len(words) == 5 && words[1] == "burst":
		burst(words[2], words[3], number(words[4]))
	case len(words) == 3 && words[1] == "dial":
		dial(words[2])
	default:
		log.Fatal("usage: see the top of main.go")
	}
}
