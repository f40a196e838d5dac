// SPDX-License-Identifier: Apache-2.0

// Quiet allocates at one place, steadily, and uses nothing of the runtime's profiles, so that the
// linker leaves them out.
package main

import (
	"os"
	"time"
)

var kept [64][]byte

//go:noinline
func allocate(i int) {
	kept[i%len(kept)] = make([]byte, 64<<10)
}

func main() {
	os.Stdout.WriteString("ready\n")
	for i := 0; ; i++ {
		allocate(i)
		if i%16 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
