// SPDX-License-Identifier: Apache-2.0

//go:build go1.23

package main

import "iter"

// An iterator that has yielded once: its goroutine was begun by the runtime, yet it is the user's.
func startCoroutine() {
	next, _ := iter.Pull(func(yield func(int) bool) {
		yield(1)
		yield(2)
	})
	next()
	keep(next)
}
