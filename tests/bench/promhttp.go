// SPDX-License-Identifier: MIT

// The peer of scripts/bench: client_golang's promhttp with the Go and process collectors,
// in a process of 50 threads. Listens on a free port of 127.0.0.1 and writes it to the file named by its
// argument; ends when its input does.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const threads = 50

// Keeps one thread in a blocking system call.
func occupy(pipe int) {
	runtime.LockOSThread()
	syscall.Read(pipe, make([]byte, 1))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "promhttp:", err)
		os.Exit(1)
	}
}

func main() {
	var pipe [2]int
	check(syscall.Pipe(pipe[:]))
	for i := 0; i < threads; i++ {
		go occupy(pipe[0])
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	port := fmt.Sprintf("%d\n", listener.Addr().(*net.TCPAddr).Port)
	check(os.WriteFile(os.Args[1]+".new", []byte(port), 0o600))
	check(os.Rename(os.Args[1]+".new", os.Args[1]))
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	check(http.Serve(listener, nil))
}
