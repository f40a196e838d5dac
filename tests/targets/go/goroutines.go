// SPDX-License-Identifier: Apache-2.0

// Goroutines parks goroutines in every state that a program can bring about, tells them by
// net/http/pprof, and prints its port. -n parks so many more; -load N keeps N others busy.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

const long = 24 * time.Hour

var (
	never   = make(chan int)
	full    = make(chan int, 1)
	locked  sync.Mutex
	rwLock  sync.RWMutex
	waiting sync.WaitGroup
)

// Other files add what they have.
var states = []func(){
	receive, send, receiveNil, sendNil, selectTwo, selectNone, rangeOver,
	mutex, readLock, writeLock, condition, waitGroup,
	sleep, timer, ticker, pipeRead, socketRead, accept, readSyscall, nanosleep,
	lockedToThread, oneLabel, manyLabels, nestedLabels,
	recursion, shallowInlined, closure, methodValue, interfaceCall, embeddedCall, genericCall,
	deferred, panicking, recovered, nilCall, bigFrame, finalizer,
}

//go:noinline
func receive() { <-never }

//go:noinline
func send() { never2 <- 1 }

var never2 = make(chan int)

//go:noinline
func receiveNil() { var c chan int; <-c }

//go:noinline
func sendNil() { var c chan int; c <- 1 }

//go:noinline
func selectTwo() {
	select {
	case <-never:
	case full <- 1:
	}
}

//go:noinline
func selectNone() { select {} }

//go:noinline
func rangeOver() {
	for range never {
	}
}

//go:noinline
func mutex() { locked.Lock() }

//go:noinline
func readLock() { rwLock.RLock() }

//go:noinline
func writeLock() { rwLock.Lock() }

//go:noinline
func condition() {
	var lock sync.Mutex
	cond := sync.NewCond(&lock)
	lock.Lock()
	cond.Wait()
}

//go:noinline
func waitGroup() { waiting.Wait() }

//go:noinline
func sleep() { time.Sleep(long) }

//go:noinline
func timer() { <-time.NewTimer(long).C }

//go:noinline
func ticker() { <-time.Tick(long) }

//go:noinline
func pipeRead() {
	r, w, err := os.Pipe()
	check(err)
	r.Read(make([]byte, 1))
	w.Close()
}

//go:noinline
func socketRead() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	c, err := net.Dial("tcp", l.Addr().String())
	check(err)
	c.Read(make([]byte, 1))
	runtime.KeepAlive(l)
}

//go:noinline
func accept() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	l.Accept()
}

//go:noinline
func readSyscall() {
	var fds [2]int
	check(syscall.Pipe(fds[:]))
	syscall.Read(fds[0], make([]byte, 1))
}

//go:noinline
func nanosleep() {
	for {
		syscall.Nanosleep(&syscall.Timespec{Sec: 1000000}, nil)
	}
}

//go:noinline
func lockedToThread() {
	runtime.LockOSThread()
	<-never
}

func labelled(pairs ...string) {
	pprof.Do(context.Background(), pprof.Labels(pairs...), func(context.Context) { <-never })
}

//go:noinline
func oneLabel() { labelled("endpoint", "/orders") }

//go:noinline
func manyLabels() {
	var pairs []string
	for i := 0; i < 14; i++ {
		pairs = append(pairs, fmt.Sprintf("key%02d", i*5%14), fmt.Sprintf("wert-ü-%d", i))
	}
	labelled(pairs...)
}

//go:noinline
func nestedLabels() {
	pprof.Do(context.Background(), pprof.Labels("a", "1", "b", "2"), func(c context.Context) {
		pprof.Do(c, pprof.Labels("b", "3", "empty", ""), func(context.Context) { <-never })
	})
}

//go:noinline
func descend(n int) int {
	if n == 0 {
		return <-never
	}
	var pad [24]int
	pad[n%24] = n
	return descend(n-1) + pad[(n+1)%24]
}

//go:noinline
func recursion() { descend(60) }

func innermost()      { <-never }
func inner()          { innermost() }
func outer()          { inner() }
func shallowInlined() { outer() }

//go:noinline
func call(f func()) { f() }

//go:noinline
func closure() {
	n := 0
	call(func() {
		n++
		call(func() { n += <-never })
	})
}

type waiter interface{ wait(n int) int }
type byValue struct{ a, b, c int }
type byPointer struct{ c chan int }
type embedding struct{ *byPointer }

//go:noinline
func (v byValue) wait(n int) int { return <-never + v.a + n }

//go:noinline
func (p *byPointer) wait(n int) int { return <-p.c + n }

//go:noinline
func callWaiter(w waiter) int { return w.wait(1) }

//go:noinline
func callMethod(f func(int) int) int { return f(1) }

//go:noinline
func methodValue() { callMethod((&byPointer{never}).wait) }

// Through the wrapper of a pointer to a value.
//
//go:noinline
func interfaceCall() { callWaiter(&byValue{1, 2, 3}) }

//go:noinline
func embeddedCall() { callWaiter(embedding{&byPointer{never}}) }

type number interface{ ~int | ~float64 }

//go:noinline
func sum[T number](c chan int, zero T) T { return zero + T(<-c) }

//go:noinline
func genericCall() { sum[float64](never, 0.5) }

//go:noinline
func deferred() {
	defer func() { <-never }()
}

//go:noinline
func fail(p *int) int { return *p }

//go:noinline
func panicking() {
	defer func() { <-never }()
	fail(nil)
}

//go:noinline
func recovered() {
	defer func() {
		recover()
		<-never
	}()
	panic("as expected")
}

//go:noinline
func nilCall() {
	var w *byValue
	defer func() { <-never }()
	callWaiter(w)
}

//go:noinline
func bigFrame() {
	var big [40000]byte
	big[len(os.Args)] = 1
	receive()
	runtime.KeepAlive(&big)
}

// The goroutine that runs finalizers is one of the program's while it does.
//
//go:noinline
func finalizer() {
	type object struct{ bytes [64]byte }
	runtime.SetFinalizer(new(object), func(*object) { <-never })
	runtime.GC()
	<-never
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

//go:noinline
func fleetA(c chan int) int { return <-c }

//go:noinline
func fleetB(c chan int) int { return fleetA(c) + 1 }

//go:noinline
func fleetC() int { time.Sleep(long); return 1 }

//go:noinline
func fleet(n int) {
	switch n % 3 {
	case 0:
		fleetA(never)
	case 1:
		fleetB(never)
	default:
		fleetC()
	}
}

var exchange = make(chan int)

//go:noinline
func loadLeaf(n int) int {
	switch n % 4 {
	case 0:
		return <-exchange
	case 1:
		time.Sleep(time.Duration(n) * time.Microsecond)
	case 2:
		runtime.Gosched()
	default:
		locked2.Lock()
		locked2.Unlock()
	}
	return n
}

var locked2 sync.Mutex

//go:noinline
func loadDown(depth, n int) int {
	if depth == 0 {
		return loadLeaf(n)
	}
	return loadDown(depth-1, n) + 1
}

//go:noinline
func loadWorker(seed int) {
	for n := seed; ; n += 13 {
		loadDown(n%37, n%101)
	}
}

//go:noinline
func loadFeeder() {
	for n := 0; ; n++ {
		exchange <- n
	}
}

// One that lives shortly, so that its g is used again by others.
//
//go:noinline
func loadShort(n int, done chan int) { done <- loadDown(n%5, 2) }

//go:noinline
func loadSpawner() {
	for n := 0; ; n++ {
		done := make(chan int)
		go loadShort(n, done)
		<-done
	}
}

//go:noinline
func loadSyscalls() {
	f, err := os.Open("/dev/zero")
	check(err)
	for n := 0; ; n++ {
		syscallDown(n%9, int(f.Fd()))
	}
}

//go:noinline
func syscallDown(depth, fd int) int {
	if depth == 0 {
		n, _ := syscall.Read(fd, make([]byte, 65536))
		return n
	}
	return syscallDown(depth-1, fd) + 1
}

// Stacks that were once deep are made smaller by the collector.
//
//go:noinline
func loadCollector() {
	for {
		time.Sleep(5 * time.Millisecond)
		runtime.GC()
	}
}

func load(n int) {
	for i := 0; i < n; i++ {
		go loadWorker(i)
	}
	if n > 0 {
		go loadFeeder()
		go loadSpawner()
		go loadSyscalls()
		go loadCollector()
	}
}

func main() {
	count := flag.Int("n", 0, "park so many more")
	busy := flag.Int("load", 0, "keep so many busy")
	flag.Parse()
	full <- 1
	locked.Lock()
	rwLock.Lock()
	waiting.Add(1)
	for _, state := range states {
		go state()
	}
	for i := 0; i < *count; i++ {
		go fleet(i)
	}
	load(*busy)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	check(http.Serve(l, nil))
}
