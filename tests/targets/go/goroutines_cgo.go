// SPDX-License-Identifier: Apache-2.0

package main

// #include <unistd.h>
// static void sleep_in_c(void) { for (;;) sleep(1000); }
// void goFromC(void);
// static void call_go(void) { goFromC(); }
import "C"

func init() { states = append(states, sleepInC, callFromC) }

//go:noinline
func sleepInC() { C.sleep_in_c() }

//export goFromC
func goFromC() { <-never }

//go:noinline
func callFromC() { C.call_go() }
