// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand"
	"sync"
	"time"
)

// Load that makes stacks grow, move and shrink, allocates, frees and waits. On a worker's stack
// stand loadWorker, any number of descend, and at most one of the load* functions above them.

var load struct {
	sync.Mutex
	stop    chan struct{}
	running sync.WaitGroup
}

// Returns when all workers have begun: until then they have no frame of their own.
func setLoad(workers int) {
	load.Lock()
	defer load.Unlock()
	if load.stop != nil {
		close(load.stop)
		load.running.Wait()
		load.stop = nil
	}
	if workers == 0 {
		return
	}
	load.stop = make(chan struct{})
	values := make(chan []byte)
	var begun sync.WaitGroup
	begun.Add(workers)
	for i := 0; i < workers; i++ {
		load.running.Add(1)
		go loadWorker(i, values, load.stop, &begun)
	}
	begun.Wait()
}

//go:noinline
func loadWorker(index int, values chan []byte, stop chan struct{}, begun *sync.WaitGroup) {
	defer load.running.Done()
	begun.Done()
	random := rand.New(rand.NewSource(int64(index)))
	for {
		select {
		case <-stop:
			return
		default:
		}
		descend(random.Intn(300), index, random, values)
	}
}

//go:noinline
func descend(depth, index int, random *rand.Rand, values chan []byte) int {
	var pad [64]byte
	pad[depth%64] = byte(depth)
	if depth > 0 {
		return descend(depth-1, index, random, values) + int(pad[depth/2%64])
	}
	switch {
	case index%4 == 0:
		return loadSend(random, values)
	case index%4 == 1:
		return loadReceive(values)
	case index%4 == 2:
		return loadAllocate(random)
	}
	return loadSpin(random)
}

//go:noinline
func loadSend(random *rand.Rand, values chan []byte) int {
	select {
	case values <- make([]byte, 1+random.Intn(20000)):
	case <-time.After(20 * time.Millisecond):
	}
	time.Sleep(10 * time.Millisecond)
	return 1
}

//go:noinline
func loadReceive(values chan []byte) int {
	select {
	case value := <-values:
		return len(value)
	case <-time.After(20 * time.Millisecond):
	}
	return 0
}

//go:noinline
func loadAllocate(random *rand.Rand) int {
	var list []*node
	for i := random.Intn(1000); i >= 0; i-- {
		list = append(list, new(node))
	}
	time.Sleep(10 * time.Millisecond)
	return len(list)
}

//go:noinline
func loadSpin(random *rand.Rand) int {
	total := 0
	for i := random.Intn(20000); i >= 0; i-- {
		total += i ^ total<<1
	}
	time.Sleep(5 * time.Millisecond)
	return total
}
