// SPDX-License-Identifier: Apache-2.0

// service: an HTTP service whose heap and goroutines are of many kinds, and that does on request
// what a test wants to see. It prints its address and "ready", and ends with its stdin. Built with
// the tag pprof it serves net/http/pprof too.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// Set before anything else allocates, as a program would that wants every allocation.
var _ = setFirstRate()

func setFirstRate() bool {
	if rate, err := strconv.Atoi(os.Getenv("SERVICE_RATE")); err == nil {
		runtime.MemProfileRate = rate
	}
	return true
}

func number(request *http.Request, name string, otherwise int) int {
	if value, err := strconv.Atoi(request.FormValue(name)); err == nil {
		return value
	}
	return otherwise
}

func handle(path string, do func(http.ResponseWriter, *http.Request)) {
	http.HandleFunc(path, func(writer http.ResponseWriter, request *http.Request) {
		do(writer, request)
		fmt.Fprintln(writer, "done")
	})
}

func serveMemstats(writer http.ResponseWriter, request *http.Request) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	json.NewEncoder(writer).Encode(map[string]uint64{
		"PauseTotalNs": stats.PauseTotalNs, "NumGC": uint64(stats.NumGC),
		"NumForcedGC": uint64(stats.NumForcedGC), "HeapAlloc": stats.HeapAlloc,
		"TotalAlloc": stats.TotalAlloc, "Mallocs": stats.Mallocs, "Frees": stats.Frees,
	})
}

func setRates(_ http.ResponseWriter, request *http.Request) {
	if rate := number(request, "memory", -1); rate >= 0 {
		runtime.MemProfileRate = rate
	}
	if rate := number(request, "block", -1); rate >= 0 {
		runtime.SetBlockProfileRate(rate)
	}
	if rate := number(request, "mutex", -1); rate >= 0 {
		runtime.SetMutexProfileFraction(rate)
	}
	if percent := number(request, "gogc", -2); percent >= -1 {
		debug.SetGCPercent(percent)
	}
}

// Two collections: only then are all records of what the first one freed published.
func collect(http.ResponseWriter, *http.Request) {
	runtime.GC()
	runtime.GC()
}

var known [][]byte

//go:noinline
func allocKnown(count, size int) {
	for i := 0; i < count; i++ {
		known = append(known, make([]byte, size))
	}
}

//go:noinline
func allocAndDrop(count, size int) {
	for i := 0; i < count; i++ {
		sink = make([]byte, size)
	}
	sink = nil
}

var sink any

//go:noinline
func receiveLate(values chan int) int { return <-values }

//go:noinline
func lockLate(mutex *sync.Mutex) {
	mutex.Lock()
	mutex.Unlock()
}

//go:noinline
func unlockLate(mutex *sync.Mutex) { mutex.Unlock() }

// Waits of known number and about a millisecond each: for a channel, then for a mutex.
func contend(_ http.ResponseWriter, request *http.Request) {
	for i := number(request, "count", 50); i > 0; i-- {
		values := make(chan int)
		go func() {
			time.Sleep(time.Millisecond)
			values <- 1
		}()
		receiveLate(values)
		var mutex sync.Mutex
		var waiter sync.WaitGroup
		mutex.Lock()
		waiter.Add(1)
		go func() {
			lockLate(&mutex)
			waiter.Done()
		}()
		time.Sleep(time.Millisecond)
		unlockLate(&mutex)
		waiter.Wait()
	}
}

// Goroutines that keep a thread each, so that the runtime has to create new ones.
func addThreads(_ http.ResponseWriter, request *http.Request) {
	var running sync.WaitGroup
	for i := number(request, "count", 4); i > 0; i-- {
		running.Add(1)
		go func() {
			runtime.LockOSThread()
			running.Done()
			waitInSyscall()
		}()
	}
	running.Wait()
}

func main() {
	fillHeap()
	startWaiters()
	handle("/memstats", serveMemstats)
	handle("/rates", setRates)
	handle("/gc", collect)
	handle("/contend", contend)
	handle("/threads", addThreads)
	handle("/load", func(_ http.ResponseWriter, request *http.Request) {
		setLoad(number(request, "workers", 0))
	})
	handle("/alloc", func(_ http.ResponseWriter, request *http.Request) {
		allocKnown(number(request, "count", 1), number(request, "size", 1<<20))
	})
	handle("/drop", func(_ http.ResponseWriter, request *http.Request) {
		allocAndDrop(number(request, "count", 1), number(request, "size", 1<<20))
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
