// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

// Goroutines that stand still for ever, in every way that a program commonly waits.

var (
	never      = make(chan int)
	neverTaken = make(chan int)
	neverLock  sync.Mutex
	neverRW    sync.RWMutex
	neverGroup sync.WaitGroup
)

//go:noinline
func waitReceive() { <-never }

//go:noinline
func waitSend() { neverTaken <- 1 }

//go:noinline
func waitNil() {
	var nothing chan int
	<-nothing
}

//go:noinline
func waitSelect() {
	select {
	case <-never:
	case <-time.After(1e6 * time.Second):
	}
}

//go:noinline
func waitEmptySelect() { select {} }

//go:noinline
func waitRange() {
	for range never {
	}
}

//go:noinline
func waitSleep() { time.Sleep(1e6 * time.Second) }

//go:noinline
func waitLock() { neverLock.Lock() }

//go:noinline
func waitReadLock() { neverRW.RLock() }

//go:noinline
func waitGroup() { neverGroup.Wait() }

//go:noinline
func waitCondition() {
	var lock sync.Mutex
	lock.Lock()
	sync.NewCond(&lock).Wait()
}

//go:noinline
func waitAccept() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	listener.Accept()
}

//go:noinline
func waitPipe() {
	reader, _, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	reader.Read(make([]byte, 1))
}

// A read that the network poller knows nothing of: the goroutine is in a system call.
//
//go:noinline
func waitInSyscall() {
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		panic(err)
	}
	syscall.Read(ends[0], make([]byte, 1))
}

//go:noinline
func waitLocked() {
	runtime.LockOSThread()
	<-never
}

//go:noinline
func waitDeep(depth int) int {
	if depth == 0 {
		return <-never
	}
	return 1 + waitDeep(depth-1)
}

func waitInlinedInner() int               { return <-never }
func waitInlinedOuter() int               { return waitInlinedInner() + 1 }
func waitGeneric[T any](channel chan T) T { return <-channel }

//go:noinline
func waitInlined() int { return waitInlinedOuter() + 2 }

// Blocks in a deferred call, above the frames of a fault and of the panic that it became.
//
//go:noinline
func waitPanicking(broken *node) int64 {
	defer func() {
		<-never
		recover()
	}()
	return broken.data[0]
}

type waiter interface{ wait() }
type waits struct{ channel chan int }
type embedsWaits struct{ waits }

//go:noinline
func (w waits) wait() { <-w.channel }

//go:noinline
func waitThroughWrapper(how waiter) { how.wait() }

//go:noinline
func waitNested() {
	go func() {
		go func() {
			func() { <-never }()
		}()
		<-never
	}()
	<-never
}

//go:noinline
func waitLabelled(name string) {
	labels := pprof.Labels("task", name, "kind", "wait \"quoted\"")
	pprof.Do(context.Background(), labels, func(context.Context) { <-never })
}

func startWaiters() {
	neverLock.Lock()
	neverRW.Lock()
	neverGroup.Add(1)
	all := []func(){waitReceive, waitSend, waitNil, waitSelect, waitEmptySelect, waitRange,
		waitSleep, waitLock, waitReadLock, waitGroup, waitCondition, waitAccept, waitPipe,
		waitInSyscall, waitLocked, waitNested}
	for copies, wait := range all {
		for i := 0; i <= copies%4; i++ {
			go wait()
		}
	}
	for _, depth := range []int{5, 50, 120, 600} {
		depth := depth
		go waitDeep(depth)
	}
	go waitInlined()
	go waitGeneric(never)
	go waitGeneric(make(chan node))
	go waitPanicking(nil)
	go waitThroughWrapper(&embedsWaits{waits{never}})
	go waitThroughWrapper(embedsWaits{waits{never}})
	go waitThroughWrapper(&waits{never})
	bound := waits{never}.wait
	go bound()
	for i := 0; i < 6; i++ {
		go waitLabelled([]string{"one", "two", "three"}[i%3])
	}
	startCoroutine()
	time.AfterFunc(time.Millisecond, waitReceive)
	time.Sleep(50 * time.Millisecond)
}
