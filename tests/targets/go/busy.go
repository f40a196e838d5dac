// SPDX-License-Identifier: Apache-2.0

// Busy spends its time in what Go's runtime does on other stacks, too: allocation and collection,
// channels, the clock, system calls, signals and stacks that grow; until its standard input ends.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"time"
)

type node struct {
	left, right *node
	values      [4]int
}

var (
	sink  int
	block []byte
)

//go:noinline
func grow(depth int) int {
	var pad [64]int
	if depth == 0 {
		return pad[3]
	}
	return grow(depth-1) + pad[depth%64]
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func recovered() (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	var none *node
	return fmt.Sprint(none.values[0])
}

func growing() {
	done := make(chan int)
	go func() { done <- grow(300) }()
	sink += <-done
}

func sorting() {
	counts := map[string]int{}
	for i := 0; i < 1000; i++ {
		counts[strings.Repeat("x", i%50)+fmt.Sprint(i)]++
	}
	names := []string{}
	for name := range counts {
		names = append(names, name)
	}
	sort.Strings(names)
}

func main() {
	runtime.GOMAXPROCS(4)
	for _, work := range []func(){
		growing,
		sorting,
		func() { sink += len(fmt.Sprint(tree(10).left)) },
		func() { sink += time.Now().Nanosecond() },
		func() { os.Stat("/"); sink += len(recovered()) },
		func() { block = make([]byte, 1<<20) },
	} {
		work := work
		go func() {
			for {
				work()
			}
		}()
	}
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
}
