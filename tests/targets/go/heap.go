// SPDX-License-Identifier: Apache-2.0

// Heap allocates at sites of every kind that the compiler makes and tells its own profile of them
// by net/http/pprof, to compare with. It prints its port.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

var (
	kept [][]byte
	lock sync.Mutex
)

func keep(block []byte) {
	lock.Lock()
	kept = append(kept, block)
	lock.Unlock()
}

func inlinedInner(size int) []byte  { return make([]byte, size) }
func inlinedMiddle(size int) []byte { return inlinedInner(size) }
func inlinedOuter(size int) []byte  { return inlinedMiddle(size) }

type maker interface{ make() []byte }
type byValue struct{ size int }
type byPointer struct{ size int }
type embedded struct{ *byPointer }

func (v byValue) make() []byte { return make([]byte, v.size) }

//go:noinline
func (p *byPointer) make() []byte { return make([]byte, p.size) }

//go:noinline
func generic[T any](n int) []T { return make([]T, n) }

//go:noinline
func recurse(depth, size int) []byte {
	if depth == 0 {
		return inlinedOuter(size)
	}
	return recurse(depth-1, size)
}

//go:noinline
func left(path uint, depth, size int) []byte { return walk(path, depth, size) }

//go:noinline
func right(path uint, depth, size int) []byte { return walk(path, depth, size) }

// A distinct stack for every path.
//
//go:noinline
func walk(path uint, depth, size int) []byte {
	if depth == 0 {
		return make([]byte, size)
	}
	if path&1 == 0 {
		return left(path>>1, depth-1, size)
	}
	return right(path>>1, depth-1, size)
}

//go:noinline
func bySort(size int) (block []byte) {
	defer func() {
		recover()
		block = make([]byte, size)
	}()
	panic("on the way")
}

func allocate(size int) {
	for _, m := range []maker{byValue{size}, &byValue{size}, &byPointer{size}, embedded{&byPointer{size}}} {
		keep(m.make())
	}
	value := byValue{size}.make
	keep(value())
	keep(func() []byte { return inlinedMiddle(size) }())
	keep(generic[byte](size))
	generic[string](size / 16)
	generic[*int](size / 8)
	for _, depth := range []int{1, 20, 40, 150, 1100} {
		keep(recurse(depth, size))
	}
	keep(bySort(size))
	keep([]byte(strings.Repeat("x", size)))
	keep(append(make([]byte, size), 'x'))
	keep([]byte(fmt.Sprintf("%*d", size, size)))
	many := map[int][64]byte{}
	for i := 0; i < size/64; i++ {
		many[i] = [64]byte{1}
	}
	done := make(chan []byte, size)
	go func() { done <- inlinedOuter(size) }()
	keep(<-done)
}

func contend() {
	var mutex sync.Mutex
	var rw sync.RWMutex
	var group sync.WaitGroup

	ready := make(chan bool)
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 20; j++ {
				func() {
					mutex.Lock()
					defer mutex.Unlock()
					time.Sleep(time.Millisecond / 4)
				}()
				rw.RLock()
				rw.RUnlock()
				rw.Lock()
				time.Sleep(time.Millisecond / 4)
				rw.Unlock()
				select {
				case <-ready:
				case <-time.After(time.Millisecond):
				}
			}
		}()
	}
	group.Wait()
}

func load(stop chan bool) {
	for {
		select {
		case <-stop:
			return
		default:
			generic[string](100)
			recurse(10, 2000)
			m := map[string]int{}
			for i := 0; i < 100; i++ {
				m[fmt.Sprint(i)] = i
			}
		}
	}
}

func main() {
	rate := flag.Int("rate", -1, "")
	block := flag.Int("block", 0, "")
	mutex := flag.Int("mutex", 0, "")
	buckets := flag.Int("buckets", 0, "")
	nogc := flag.Bool("nogc", false, "")
	flag.Parse()
	if *rate >= 0 {
		runtime.MemProfileRate = *rate
	}
	runtime.SetBlockProfileRate(*block)
	runtime.SetMutexProfileFraction(*mutex)
	for i := 0; i < *buckets; i++ {
		walk(uint(i), 14, 16<<(i>>14))
	}
	for i := 0; i < 20; i++ {
		allocate(1000 + i*10000)
	}
	if *block+*mutex > 0 {
		contend()
	}
	if !*nogc {
		runtime.GC()
		runtime.GC()
	}
	http.HandleFunc("/gc", func(http.ResponseWriter, *http.Request) { runtime.GC() })
	http.HandleFunc("/allocate", func(http.ResponseWriter, *http.Request) { allocate(1 << 20) })
	http.HandleFunc("/contend", func(http.ResponseWriter, *http.Request) { contend() })
	stop := make(chan bool)
	http.HandleFunc("/load", func(http.ResponseWriter, *http.Request) { go load(stop) })
	http.HandleFunc("/calm", func(http.ResponseWriter, *http.Request) { stop <- true })
	http.HandleFunc("/rate", func(_ http.ResponseWriter, r *http.Request) {
		fmt.Sscan(r.FormValue("n"), &runtime.MemProfileRate)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	http.Serve(listener, nil)
}
