// SPDX-License-Identifier: Apache-2.0

//go:build go1.24

// What Go has from 1.24.
package main

import (
	"iter"
	"runtime"
)

func init() { states = append(states, coroutine, cleanup) }

//go:noinline
func yieldOnce(yield func(int) bool) { yield(<-never) }

// Its generator runs on a goroutine of its own, which the runtime starts.
//
//go:noinline
func coroutine() {
	next, _ := iter.Pull(func(yield func(int) bool) { yield(1); yieldOnce(yield) })
	next()
	next()
}

// From 1.25 other goroutines than that of the finalizers do this.
//
//go:noinline
func cleanup() {
	type object struct{ bytes [64]byte }
	runtime.AddCleanup(new(object), func(int) { <-never }, 0)
	runtime.GC()
	<-never
}
