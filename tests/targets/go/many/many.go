// SPDX-License-Identifier: Apache-2.0

// many GOROUTINES BUCKETS: so many goroutines that wait, and so many heap buckets. A heartbeat
// goroutine watches for pauses: every line on stdin is answered by the longest gap between two
// beats, in microseconds, since the line before. It ends with its stdin.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const beat = 200 * time.Microsecond

var (
	never = make(chan int)
	kept  []*[4]int64
	_     = setFirstRate()
)

func setFirstRate() bool {
	runtime.MemProfileRate = 1
	return true
}

// Every bit of path chooses one of two calls, so that every path is a stack of its own.
//
//go:noinline
func allocate(path, bits int) {
	switch {
	case bits == 0:
		kept = append(kept, new([4]int64))
	case path&1 == 0:
		allocate(path>>1, bits-1)
	default:
		allocate(path>>1, bits-1)
	}
}

// Of a few depths, as the goroutines of a server are.
//
//go:noinline
func wait(depth int) {
	if depth > 0 {
		wait(depth - 1)
		return
	}
	<-never
}

var longest int64

func watch() {
	for last := time.Now(); ; {
		time.Sleep(beat)
		now := time.Now()
		if gap := int64(now.Sub(last)); gap > atomic.LoadInt64(&longest) {
			atomic.StoreInt64(&longest, gap)
		}
		last = now
	}
}

func argument(index int) int {
	value, err := strconv.Atoi(os.Args[index])
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	goroutines, buckets := argument(1), argument(2)
	kept = make([]*[4]int64, 0, buckets)
	bits := 0
	for 1<<bits < buckets {
		bits++
	}
	for path := 0; path < buckets; path++ {
		allocate(path, bits)
	}
	runtime.MemProfileRate = 512 << 10
	var started sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		started.Add(1)
		go func(depth int) {
			started.Done()
			wait(depth)
		}(i % 8)
	}
	started.Wait()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	runtime.GC()
	runtime.GC()
	go watch()
	fmt.Printf("listening %s\nready\n", listener.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(atomic.SwapInt64(&longest, 0) / 1000)
	}
}
