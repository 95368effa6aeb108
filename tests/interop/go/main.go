// A peer that uses Go's net and golang.org/x/net, for the interoperation tests. It says "ready PORT" when it can
// receive, then a line for each datagram.
//
//	peer receive   NETWORK ADDRESS STEP...           steps are taken in turn:
//	    join,GROUP,INTERFACE[,SOURCE] exclude,GROUP,INTERFACE,SOURCE include,GROUP,INTERFACE,SOURCE
//	    read,COUNT      says "ready PORT" and calls ReadFrom until so many are there
//	    batch,COUNT     the same with ReadBatch
//	peer send      NETWORK DESTINATION SPEC...       one WriteTo each: TCLASS,HOPLIMIT,SOURCE,INTERFACE; "-" is not given
//	peer sendbatch NETWORK DESTINATION SPEC...       the same with WriteBatch
//	peer receive4  ADDRESS COUNT                     an IPv4 peer: ipv4.PacketConn
//	peer send4     DESTINATION TOS,TTL...
//	peer dial      ADDRESS                           TCP: prints what it reads until the end
//	peer visit     ADDRESS                           the same, without a word of its own
//	peer ask       INTERFACE NAME                    one-shot multicast DNS: prints the address in the answer
//	peer trace     HOST                              the way to a host, a line for each router
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

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// The traffic class of datagrams that are sent without one, so that "none" is not 0.
const ownTrafficClass = 0x77

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

func isUDP(network string) bool { return strings.HasPrefix(network, "udp") }

func isICMP(network string) bool { return network == "ip6:ipv6-icmp" }

// resolve returns the address in the form of the network: with a port for UDP, without for raw IP.
func resolve(network, address string) net.Addr {
	if isUDP(network) {
		found, err := net.ResolveUDPAddr(network, address)
		check(err)
		return found
	}
	found, err := net.ResolveIPAddr("ip6", address)
	check(err)
	return found
}

func ipOf(address net.Addr) net.IP {
	if udp, ok := address.(*net.UDPAddr); ok {
		return udp.IP
	}
	return address.(*net.IPAddr).IP
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

// say leaves out the neighbor discovery messages that raw ICMPv6 receives.
func say(network string, payload []byte, cm *ipv6.ControlMessage, from net.Addr) bool {
	text := string(payload)
	if isICMP(network) {
		if len(payload) < 5 || payload[0] != 200 {
			return false
		}
		text = string(payload[4:])
	} else if !isUDP(network) {
		text = fmt.Sprintf("%x", payload)
	}
	fmt.Printf("%s tclass=%d hoplim=%d src=%s dst=%s ifindex=%d from %s\n", text, cm.TrafficClass, cm.HopLimit, cm.Src,
		cm.Dst, cm.IfIndex, from)
	return true
}

func read(network string, p *ipv6.PacketConn, count int) {
	buffer := make([]byte, 2048)
	for count > 0 {
		n, cm, from, err := p.ReadFrom(buffer)
		check(err)
		if say(network, buffer[:n], cm, from) {
			count--
		}
	}
}

func readBatch(network string, p *ipv6.PacketConn, count int) {
	messages := make([]ipv6.Message, 16)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 2048)}
		messages[i].OOB = ipv6.NewControlMessage(
			ipv6.FlagTrafficClass | ipv6.FlagHopLimit | ipv6.FlagDst | ipv6.FlagInterface)
	}
	for count > 0 {
		n, err := p.ReadBatch(messages, 0)
		check(err)
		for _, m := range messages[:n] {
			var cm ipv6.ControlMessage
			check(cm.Parse(m.OOB[:m.NN]))
			cm.Src = ipOf(m.Addr)
			if say(network, m.Buffers[0][:m.N], &cm, m.Addr) {
				count--
			}
		}
	}
}

func receive(network, address string, steps []string) {
	conn, p := listen(network, address)
	defer conn.Close()
	for _, step := range steps {
		words := strings.Split(step, ",")
		var group, source net.Addr
		var where *net.Interface
		if len(words) > 2 {
			group, where = &net.UDPAddr{IP: net.ParseIP(words[1])}, link(words[2])
		}
		if len(words) > 3 {
			source = &net.UDPAddr{IP: net.ParseIP(words[3])}
		}
		switch {
		case words[0] == "join" && source == nil:
			check(p.JoinGroup(where, group))
		case words[0] == "join":
			check(p.JoinSourceSpecificGroup(where, group, source))
		case words[0] == "exclude":
			check(p.ExcludeSourceSpecificGroup(where, group, source))
		case words[0] == "include":
			check(p.IncludeSourceSpecificGroup(where, group, source))
		case words[0] == "read":
			ready(conn)
			read(network, p, number(words[1]))
		case words[0] == "batch":
			ready(conn)
			readBatch(network, p, number(words[1]))
		default:
			log.Fatal("no step: ", step)
		}
	}
}

func text(network string, i int) []byte {
	payload := []byte(fmt.Sprintf("go-%d", i))
	if isICMP(network) {
		return append([]byte{200, 0, 0, 0}, payload...)
	}
	return payload
}

func control(spec string) *ipv6.ControlMessage {
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
	return &cm
}

func send(network, destination string, specs []string, batch bool) {
	conn, p := listen(network, map[bool]string{true: "[::]:0", false: "::"}[isUDP(network)])
	defer conn.Close()
	check(p.SetTrafficClass(ownTrafficClass))
	ready(conn)
	to := resolve(network, destination)
	var messages []ipv6.Message
	for i, spec := range specs {
		if batch {
			messages = append(messages, ipv6.Message{
				Buffers: [][]byte{text(network, i)}, OOB: control(spec).Marshal(), Addr: to})
			continue
		}
		_, err := p.WriteTo(text(network, i), control(spec), to)
		check(err)
	}
	for len(messages) > 0 {
		n, err := p.WriteBatch(messages, 0)
		check(err)
		messages = messages[n:]
	}
}

func receive4(address string, count int) {
	conn, err := net.ListenPacket("udp4", address)
	check(err)
	defer conn.Close()
	check(conn.SetDeadline(time.Now().Add(time.Minute)))
	p := ipv4.NewPacketConn(conn)
	check(p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagSrc|ipv4.FlagDst|ipv4.FlagInterface, true))
	ready(conn)
	buffer := make([]byte, 2048)
	for ; count > 0; count-- {
		n, cm, from, err := p.ReadFrom(buffer)
		check(err)
		fmt.Printf("%s ttl=%d src=%s dst=%s ifindex=%d from %s\n", buffer[:n], cm.TTL, cm.Src, cm.Dst, cm.IfIndex, from)
	}
}

func send4(destination string, specs []string) {
	conn, err := net.Dial("udp4", destination)
	check(err)
	defer conn.Close()
	fmt.Println("ready", conn.LocalAddr().(*net.UDPAddr).Port)
	for i, spec := range specs {
		words := strings.Split(spec, ",")
		check(ipv4.NewConn(conn).SetTOS(number(words[0])))
		check(ipv4.NewConn(conn).SetTTL(number(words[1])))
		_, err := conn.Write(text("udp4", i))
		check(err)
	}
}

func dial(address, word string) {
	conn, err := net.DialTimeout("tcp", address, time.Minute)
	check(err)
	check(conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = conn.Write([]byte(word))
	check(err)
	check(conn.(*net.TCPConn).CloseWrite())
	all, err := io.ReadAll(conn)
	check(err)
	fmt.Printf("%s\n", all)
}

// ask repeats its question until an answer comes (RFC 6762, 5.1).
func ask(where, name string) {
	conn, p := listen("udp6", "[::]:0")
	defer conn.Close()
	check(p.SetMulticastInterface(link(where)))
	question := dnsmessage.Question{
		Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET}
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: 4711}, Questions: []dnsmessage.Question{question}}
	packet, err := query.Pack()
	check(err)
	buffer := make([]byte, 1500)
	for {
		_, err = p.WriteTo(packet, nil, resolve("udp6", "[ff02::fb]:5353"))
		check(err)
		check(conn.SetReadDeadline(time.Now().Add(time.Second)))
		n, cm, from, err := p.ReadFrom(buffer)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			continue
		}
		check(err)
		var answer dnsmessage.Message
		check(answer.Unpack(buffer[:n]))
		if answer.ID != query.ID || len(answer.Answers) != 1 {
			log.Fatal("no answer: ", answer.GoString())
		}
		address := answer.Answers[0].Body.(*dnsmessage.AAAAResource).AAAA
		fmt.Printf("%s is %s dst=%s ifindex=%d from %s\n", answer.Answers[0].Header.Name, net.IP(address[:]), cm.Dst,
			cm.IfIndex, from)
		return
	}
}

// trace prints each answer's control message, and the name of its source.
func trace(host string) {
	to, err := net.ResolveIPAddr("ip6", host)
	check(err)
	conn, p := listen("ip6:ipv6-icmp", "::")
	defer conn.Close()
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeTimeExceeded)
	filter.Accept(ipv6.ICMPTypeEchoReply)
	check(p.SetICMPFilter(&filter))
	buffer := make([]byte, 1500)
	for hops := 1; hops <= 64; hops++ {
		request := icmp.Message{Type: ipv6.ICMPTypeEchoRequest, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: hops}}
		packet, err := request.Marshal(nil)
		check(err)
		_, err = p.WriteTo(packet, &ipv6.ControlMessage{HopLimit: hops}, to)
		check(err)
		n, cm, peer, err := p.ReadFrom(buffer)
		check(err)
		answer, err := icmp.ParseMessage(58, buffer[:n])
		check(err)
		names, _ := net.LookupAddr(peer.String())
		fmt.Printf("%d %v %v %v\n", hops, peer, names, cm)
		if answer.Type == ipv6.ICMPTypeEchoReply {
			return
		}
	}
}

func main() {
	log.SetFlags(0)
	words := os.Args
	switch {
	case len(words) >= 5 && words[1] == "receive":
		receive(words[2], words[3], words[4:])
	case len(words) >= 4 && words[1] == "send":
		send(words[2], words[3], words[4:], false)
	case len(words) >= 4 && words[1] == "sendbatch":
		send(words[2], words[3], words[4:], true)
	case len(words) == 4 && words[1] == "receive4":
		receive4(words[2], number(words[3]))
	case len(words) >= 3 && words[1] == "send4":
		send4(words[2], words[3:])
	case len(words) == 3 && words[1] == "dial":
		dial(words[2], "hello from Go")
	case len(words) == 3 && words[1] == "visit":
		dial(words[2], "")
	case len(words) == 4 && words[1] == "ask":
		ask(words[2], words[3])
	case len(words) == 3 && words[1] == "trace":
		trace(words[2])
	default:
		log.Fatal("usage: see the top of main.go")
	}
}
