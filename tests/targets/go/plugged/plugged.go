// SPDX-License-Identifier: Apache-2.0

// plugged PLUGIN: prints "ready"; at a line on stdin it loads the plugin, has it begin what it does
// and prints "loaded". It ends with its stdin.
package main

import (
	"bufio"
	"fmt"
	"os"
	"plugin"
)

func load(path string) {
	loaded, err := plugin.Open(path)
	if err != nil {
		panic(err)
	}
	begin, err := loaded.Lookup("Begin")
	if err != nil {
		panic(err)
	}
	begin.(func())()
}

func main() {
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		load(os.Args[1])
		fmt.Println("loaded")
	}
}
