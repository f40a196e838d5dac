// SPDX-License-Identifier: Apache-2.0

// Callers prints stacks as runtime.Callers stores them, and as the runtime itself explains them.
package main

import (
	"fmt"
	"runtime"
	"sort"
	"strings"
)

//go:noinline
func show(skip int) {
	var pcs [64]uintptr

	stored := pcs[:runtime.Callers(skip, pcs[:])]
	fmt.Print("stack")
	for _, pc := range stored {
		fmt.Printf(" %x", pc)
	}
	fmt.Println()
	frames := runtime.CallersFrames(stored)
	for {
		frame, more := frames.Next()
		if frame.Function != "runtime.goexit" {
			fmt.Printf("call %s:%d\n", frame.Function, frame.Line)
		}
		if !more {
			break
		}
	}
}

func inner(skip int)  { show(skip) }
func middle(skip int) { inner(skip); inner(skip + 1) }
func outer(skip int)  { middle(skip) }

type value struct{ skip int }

func (v value) run() { outer(v.skip) }

type runner interface{ run() }

//go:noinline
func recurse(depth, skip int) {
	if depth > 0 {
		recurse(depth-1, skip)
		return
	}
	outer(skip)
}

type list []int

func (l list) Len() int           { return len(l) }
func (l list) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l list) Less(i, j int) bool { outer(1); return l[i] < l[j] }

func generic[T any](v T, skip int) T {
	outer(skip)
	return v
}

func main() {
	for skip := 0; skip < 6; skip++ {
		outer(skip)
		var r runner = value{skip}
		r.run()
		r = &value{skip}
		r.run()
		recurse(3, skip)
		recurse(80, skip)
		generic("text", skip)
		generic(skip, skip)
		func() { outer(skip) }()
		run := value{skip}.run
		run()
		func() {
			defer func() { recover(); outer(skip) }()
			panic(skip)
		}()
	}
	sort.Sort(list{2, 1})
	strings.Map(func(r rune) rune { outer(1); return r }, "x")
	done := make(chan bool)
	go func() { outer(0); done <- true }()
	<-done
}
