// SPDX-License-Identifier: Apache-2.0

// extra: Go code for other programs, as a plugin of Go ones and as a library of C ones.
package main

import "C"

var kept [][]byte

//go:noinline
func wait(never chan int) { <-never }

// Begin leaves a goroutine that waits and memory that is kept.
//
//export Begin
func Begin() {
	for i := 0; i < 8; i++ {
		kept = append(kept, make([]byte, 1<<20))
	}
	go wait(make(chan int))
}

func main() {}
