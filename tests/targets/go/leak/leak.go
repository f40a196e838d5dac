// SPDX-License-Identifier: Apache-2.0

// leak: the classic leaks of an API server, at a steady rate. It prints its address and "ready",
// and ends with its stdin. The lines to find are marked.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime/debug"
	"time"
)

const (
	quoteBytes  = 32 << 10
	resultBytes = 48 << 10
	orderPeriod = 25 * time.Millisecond
	mostOrders  = 10000 // then it leaks no more: a demo must not eat its machine
)

// The supplier sends the beginning of its price list and keeps the rest back, as a slow one does.
func serveSupplier(writer http.ResponseWriter, request *http.Request) {
	writer.Write(make([]byte, quoteBytes))
	writer.(http.Flusher).Flush()
	<-request.Context().Done()
}

type api struct {
	supplier string
	client   *http.Client
}

// Reads a whole price list without a deadline and forgets to close the body: the connection, its
// buffers and the goroutine stay for ever.
func (a *api) fetchQuote(quotes chan<- []byte) {
	response, err := a.client.Get(a.supplier)
	if err != nil {
		return
	}
	list := make([]byte, 2*quoteBytes)           // kept: body
	count, _ := io.ReadFull(response.Body, list) // waits: body
	quotes <- list[:count]
}

// Tells a result to a caller that has long stopped listening.
func auditOrder(results chan<- []byte) {
	result := make([]byte, resultBytes) // kept: channel
	results <- result                   // waits: channel
}

// Answers by its deadline, whatever became of what it started.
func (a *api) serveOrder(writer http.ResponseWriter, request *http.Request) {
	quotes, results := make(chan []byte), make(chan []byte)
	go a.fetchQuote(quotes)
	go auditOrder(results)
	select {
	case quote := <-quotes:
		writer.Write(quote)
	case <-time.After(5 * time.Millisecond):
		writer.WriteHeader(http.StatusGatewayTimeout)
	}
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return listener
}

// Orders come in steadily, and this customer closes the bodies.
func order(address string) {
	for count := 0; count < mostOrders; count++ {
		time.Sleep(orderPeriod)
		response, err := http.Get("http://" + address + "/order")
		if err == nil {
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
}

func main() {
	debug.SetGCPercent(20) // a heap profile is as of the last collection: let it be recent
	supplier, front := listen(), listen()
	service := &api{"http://" + supplier.Addr().String(), &http.Client{}}
	go http.Serve(supplier, http.HandlerFunc(serveSupplier))
	http.HandleFunc("/order", service.serveOrder)
	go http.Serve(front, nil)
	go order(front.Addr().String())
	fmt.Printf("listening %s\nready\n", front.Addr())
	io.Copy(io.Discard, os.Stdin)
}
