// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"
)

var kept [20000][]byte

func makeGarbage(seconds float64) {
	end := time.Now().Add(time.Duration(seconds * 1e9))
	for i := 0; time.Now().Before(end); {
		for j := 0; j < 1000; j++ {
			kept[i%len(kept)] = make([]byte, 200+i%1000)
			i++
		}
	}
}

func report() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	text, _ := json.Marshal(map[string]uint64{
		"pause_ns": stats.PauseTotalNs, "cycles": uint64(stats.NumGC)})
	fmt.Println(string(text))
}

// Waits for a line, makes garbage for a second, says how long that paused it; and again.
func main() {
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for lines.Scan() {
		report()
		makeGarbage(1)
		runtime.GC()
		report()
	}
}
