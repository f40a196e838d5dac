// SPDX-License-Identifier: Apache-2.0

// turns: workers that were all begun alike take turns on one thread, of so many microseconds as
// its argument says. Each is labelled by the one function that it ever calls. It prints "ready", and
// ends with its stdin.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"
)

//go:noinline
func spinA(until time.Time) {
	for time.Now().Before(until) {
	}
}

//go:noinline
func spinB(until time.Time) {
	for time.Now().Before(until) {
	}
}

//go:noinline
func work(name string, spin func(time.Time), turn time.Duration) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("spin", name)))
	for {
		spin(time.Now().Add(turn))
		runtime.Gosched()
	}
}

func main() {
	turn, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	runtime.GOMAXPROCS(1)
	// One go statement, or they would not be begun alike.
	for i := 0; i < 4; i++ {
		name, spin := "A", spinA
		if i%2 == 1 {
			name, spin = "B", spinB
		}
		go work(name, spin, time.Duration(turn)*time.Microsecond)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
