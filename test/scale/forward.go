package main

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// forwarder passes TCP connections on, and counts them and their bytes.
type forwarder struct {
	listener net.Listener
	target   string
	// connections is how many have been made.
	connections atomic.Int64
	// received is what the API server has sent, and sent what the controller has, in bytes, with TLS and as compressed as they agree on.
	received, sent atomic.Int64
}

// counter counts what is written.
type counter struct {
	io.Writer
	count *atomic.Int64
}

// forward begins to pass connections on to an address.
func forward(target string) (*forwarder, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the controller: %w", err)
	}
	f := &forwarder{listener: listener, target: target}
	go f.accept()
	return f, nil
}

func (f *forwarder) address() string { return f.listener.Addr().String() }

func (f *forwarder) stop() { _ = f.listener.Close() }

func (f *forwarder) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return // It was stopped.
		}
		server, err := net.Dial("tcp", f.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		f.connections.Add(1)
		go pass(server, client, &f.sent)
		go pass(client, server, &f.received)
	}
}

// pass copies until one side ends, and ends the other.
func pass(to, from net.Conn, count *atomic.Int64) {
	_, _ = io.Copy(counter{to, count}, from) // How it ended is no news.
	_, _ = to.Close(), from.Close()
}

// Write counts and writes: whoever has read the bytes finds them counted.
func (c counter) Write(p []byte) (int, error) {
	c.count.Add(int64(len(p)))
	n, err := c.Writer.Write(p)
	c.count.Add(int64(n - len(p)))
	return n, err
}
