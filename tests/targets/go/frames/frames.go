// SPDX-License-Identifier: Apache-2.0

// Frames tells what Go's runtime itself makes of its tables, and has functions of many shapes to
// step through.
//
//	frames names MAIN STEP	tells main.main's bias over MAIN, then of every STEPth address of
//				every function: its calls, innermost first, as runtime/pprof
//				expands them
//	frames work		calls main.work on the first thread
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
	_ "unsafe"
)

//go:linkname expand runtime/pprof.runtime_expandFinalInlineFrame
func expand(stack []uintptr) []uintptr

type shape interface{ area(scale int) int }
type square struct{ side int }
type wide struct{ pad [40]int }

func (s *square) area(scale int) int { return inner(s.side) * scale }

//go:noinline
func (w wide) area(scale int) int { return w.pad[scale%40] + scale }

func inner(n int) int     { return innermost(n) + 1 }
func innermost(n int) int { return n*n + len(os.Args) }

//go:noinline
func generic[T any](list []T) int { return cap(append(list, list[0])) }

//go:noinline
func bigFrame(n int) int {
	var pad [600]int
	for i := range pad {
		pad[i] = n + i
	}
	return leaf(pad[n%600], pad[1], 3)
}

//go:noinline
func leaf(a, b, c int) int { return a*b + c }

//go:noinline
func deferring(n int) (result int) {
	defer func() { result += n }()
	return leaf(n, n, n)
}

//go:noinline
func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + bigFrame(n)
}

//go:noinline
func work(round int) int {
	shapes := []shape{&square{round}, wide{}, wide{}}
	sum := 0
	for i, s := range shapes {
		sum += s.area(i + round)
	}
	names := map[string]int{}
	for i := 0; i < 4; i++ {
		names["n"+strconv.Itoa(i+round)] += i
	}
	keys := make([]string, 0)
	for k := range names {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	sum += generic(keys) + generic([]float64{1, 2}) + deferring(round) + bigFrame(round)
	sum += int(time.Since(time.Unix(0, 0))) & 1
	return sum + len(strings.Repeat("x", round%7)) + len(make([]byte, 33000+round))
}

func startLine(frame runtime.Frame) int64 {
	if field := reflect.ValueOf(frame).FieldByName("startLine"); field.IsValid() {
		return field.Int()
	}
	return 0
}

func tell(out *bufio.Writer, pc, bias uintptr) {
	fmt.Fprintf(out, "%x", pc-bias)
	// A pc that is no return address but the one before it.
	frames := runtime.CallersFrames(expand([]uintptr{pc + 1}))
	for {
		frame, more := frames.Next()
		fmt.Fprintf(out, "\t%s\t%s\t%d\t%d", frame.Function, frame.File, frame.Line,
			startLine(frame))
		if !more {
			break
		}
	}
	out.WriteByte('\n')
}

func tellAll(mainAddress, step uintptr) {
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	defer out.Flush()
	pc := reflect.ValueOf(main).Pointer()
	bias := pc - mainAddress
	for back := uintptr(1); runtime.FuncForPC(pc-back) != nil; back = 1 {
		for runtime.FuncForPC(pc-back) == nil {
			back++
		}
		pc = runtime.FuncForPC(pc - back).Entry()
	}
	for ; runtime.FuncForPC(pc) != nil; pc += step {
		// A return address cannot be a function's entry: the runtime takes it as it is.
		if next := runtime.FuncForPC(pc + 1); next == nil || next.Entry() == pc+1 {
			continue
		}
		tell(out, pc, bias)
	}
}

func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) > 3 && os.Args[1] == "names" {
		address, _ := strconv.ParseUint(os.Args[2], 16, 64)
		step, _ := strconv.Atoi(os.Args[3])
		tellAll(uintptr(address), uintptr(step))
		return
	}
	sum := deep(5000) // the stack is large enough from here on
	for i := 0; i < 3; i++ {
		sum += work(i)
	}
	fmt.Println(sum)
}
