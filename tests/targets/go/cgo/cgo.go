// SPDX-License-Identifier: Apache-2.0

// cgo: calls from Go into C and back, with goroutines that wait on either side, C's heap beside
// Go's, and C code that burns time. It prints its address and "ready", and ends with its stdin.
package main

/*
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void goCallback(int how);

static void *c_kept[65536];
static int c_count;

__attribute__((noinline)) static void c_keep(int count, int bytes)
{
	for (int i = 0; i < count && c_count < 65536; i++)
		c_kept[c_count++] = memset(malloc(bytes), 1, bytes);
}

__attribute__((noinline)) static void c_wait(void)
{
	pause();
	__asm__ volatile("");
}

__attribute__((noinline)) static void c_call_back(int how)
{
	goCallback(how);
	__asm__ volatile("");
}

__attribute__((noinline)) static unsigned long c_burn(unsigned long rounds)
{
	volatile unsigned long sum = 0;
	for (unsigned long i = 0; i < rounds; i++)
		sum += i * i;
	return sum;
}
*/
import "C"

import (
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"
)

var _ = setFirstRate()

func setFirstRate() bool {
	if rate, err := strconv.Atoi(os.Getenv("SERVICE_RATE")); err == nil {
		runtime.MemProfileRate = rate
	}
	return true
}

const (
	howWait = 0
	howBurn = 1
)

var (
	never = make(chan int)
	kept  [][]byte
)

//go:noinline
func waitInC() { C.c_wait() }

//go:noinline
func waitBehindC() { C.c_call_back(howWait) }

//go:noinline
func burnInC() { C.c_burn(20000000) }

//go:noinline
func burnBehindC() { C.c_call_back(howBurn) }

//export goCallback
func goCallback(how C.int) {
	if how == howBurn {
		burnInC()
		return
	}
	<-never
}

//go:noinline
func keepInGo(count, size int) {
	for i := 0; i < count; i++ {
		kept = append(kept, make([]byte, size))
	}
}

//go:noinline
func keepInC(count, size int) { C.c_keep(C.int(count), C.int(size)) }

func number(request *http.Request, name string) int {
	value, _ := strconv.Atoi(request.FormValue(name))
	return value
}

func main() {
	for i := 0; i < 3; i++ {
		go waitInC()
		go waitBehindC()
	}
	keepInGo(200, 20000)
	http.HandleFunc("/malloc", func(writer http.ResponseWriter, request *http.Request) {
		keepInC(number(request, "count"), number(request, "size"))
	})
	http.HandleFunc("/burn", func(writer http.ResponseWriter, request *http.Request) {
		for i := number(request, "count"); i > 0; i-- {
			burnBehindC()
			burnInC()
		}
	})
	http.HandleFunc("/gc", func(http.ResponseWriter, *http.Request) {
		runtime.GC()
		runtime.GC()
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	runtime.GC()
	runtime.GC()
	fmt.Printf("listening %s\nready\n", listener.Addr())
	io.Copy(io.Discard, os.Stdin)
}
