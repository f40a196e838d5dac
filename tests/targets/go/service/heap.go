// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"sync"
)

// Buckets of many kinds: sizes from tiny to huge, with pointers and without, kept and freed, from
// generic, inlined, deferred, deep and panicking callers.

var keptItems []any

//go:noinline
func keep(item any) { keptItems = append(keptItems, item) }

var fromInit = make([]byte, 48<<10)

type node struct {
	next *node
	data [6]int64
}

//go:noinline
func linkedNodes(count int) {
	var head *node
	for i := 0; i < count; i++ {
		head = &node{next: head}
	}
	keep(head)
}

//go:noinline
func tinyStrings(count int) {
	list := make([]string, 0, count)
	for i := 0; i < count; i++ {
		list = append(list, strings.Repeat("t", 1+i%12))
	}
	keep(list)
}

type box[T any] struct{ value T }

//go:noinline
func boxed[T any](value T, count int) {
	list := make([]*box[T], count)
	for i := range list {
		list[i] = &box[T]{value}
	}
	keep(list)
}

// The compiler inlines the inner three: their allocation has one address and four frames.
func inlinedInner(size int) []byte  { return make([]byte, size) }
func inlinedMiddle(size int) []byte { return inlinedInner(size + 1) }
func inlinedOuter(size int) []byte  { return inlinedMiddle(size + 1) }

//go:noinline
func throughInlines(count int) {
	for i := 0; i < count; i++ {
		keep(inlinedOuter(3000))
		keep(inlinedMiddle(5000))
	}
}

//go:noinline
func deepFrames(depth int) int {
	if depth == 0 {
		keep(make([]int, 700))
		return 0
	}
	return 1 + deepFrames(depth-1)
}

//go:noinline
func mapsAndChannels(count int) {
	counts := map[string]int{}
	for i := 0; i < count; i++ {
		counts[fmt.Sprint("key ", i)] = i
		keep(make(chan node, 20))
	}
	keep(counts)
}

//go:noinline
func freedBuffers(count int) {
	for i := 0; i < count; i++ {
		sink = make([]byte, 10000+i%5*1000)
	}
	sink = nil
}

type shape interface{ grow(size int) []byte }
type inner struct{ factor int }
type outer struct{ inner }

//go:noinline
func (i inner) grow(size int) []byte { return make([]byte, size*i.factor) }

// Through an interface on the embedding type, so that a wrapper stands between.
//
//go:noinline
func throughWrapper(how shape, count int) {
	for i := 0; i < count; i++ {
		keep(how.grow(900))
	}
}

//go:noinline
func closuresAndMethodValues(count int) {
	bound := (&outer{inner{7}}).grow
	for i := 0; i < count; i++ {
		size := 256 * (i%4 + 1)
		keep(func() []byte { return make([]byte, size) })
		keep(bound(300))
	}
}

//go:noinline
func reflected(count int) {
	kind := reflect.TypeOf([129]int32{})
	for i := 0; i < count; i++ {
		keep(reflect.New(kind).Interface())
	}
}

//go:noinline
func encoded(count int) {
	values := make([]map[string]any, count)
	for i := range values {
		values[i] = map[string]any{"id": i, "names": []string{"a", "b"}}
	}
	text, _ := json.Marshal(values)
	sort.Slice(values, func(i, j int) bool { return len(values[i]) < len(values[j]) })
	keep(text)
}

// Allocates in a deferred call that a nil dereference set off.
//
//go:noinline
func whilePanicking(broken *node) {
	defer func() {
		keep(make([]byte, 20000))
		recover()
	}()
	keep(broken.data[1])
}

func fillHeap() {
	linkedNodes(4000)
	tinyStrings(3000)
	boxed(int64(1), 1000)
	boxed("text", 1000)
	boxed(node{}, 300)
	throughInlines(60)
	for _, depth := range []int{3, 25, 31, 60, 126, 127, 128, 200} {
		for i := 0; i < 8; i++ {
			deepFrames(depth)
		}
	}
	mapsAndChannels(300)
	freedBuffers(500)
	throughWrapper(&outer{inner{3}}, 100)
	throughWrapper(outer{inner{4}}, 100)
	closuresAndMethodValues(400)
	reflected(500)
	encoded(300)
	for i := 0; i < 40; i++ {
		whilePanicking(nil)
		keep(make([]byte, 33<<10))
	}
	keep(make([]*node, 1<<19))
	keep(make([]byte, 3<<20))
	var done sync.WaitGroup
	for i := 0; i < 20; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			keepLocked(make([]byte, 40<<10))
		}()
	}
	done.Wait()
}

var keptLock sync.Mutex

func keepLocked(item any) {
	keptLock.Lock()
	defer keptLock.Unlock()
	keep(item)
}
