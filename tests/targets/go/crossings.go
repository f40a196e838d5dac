// SPDX-License-Identifier: Apache-2.0

// Crossings spends its time in Go called by C called by Go and so on, on goroutines and on threads
// that C made, until its standard input ends.
package main

/*
#include <pthread.h>
#include <stdlib.h>

extern int goBack(int level);

static __attribute__((noinline)) int c_leaf(int n)
{
	volatile int sum = 0;

	for (int i = 0; i < n; i++)
		sum += i;
	return sum;
}

static __attribute__((noinline)) int c_deep(int depth, int level)
{
	volatile char pad[100];

	pad[depth % 100] = 1;
	return depth > 0 ? c_deep(depth - 1, level) + pad[3] : goBack(level);
}

static int c_descend(int level)
{
	return c_deep(5, level) + 1;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b + goBack(0);
}

static int c_sort(void)
{
	int values[50];

	for (int i = 0; i < 50; i++)
		values[i] = i * 7919 % 101;
	qsort(values, 50, sizeof(values[0]), compare);
	return values[3];
}

static void *c_thread(void *arg)
{
	for (int i = 0; i < 10000; i++)
		goBack(1);
	return arg;
}

static void c_make_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, c_thread, NULL) == 0)
		pthread_join(thread, NULL);
}
*/
import "C"

import (
	"fmt"
	"os"
)

var sink []byte

//export goBack
func goBack(level C.int) C.int {
	if level == 0 {
		return C.c_leaf(1000) & 0
	}
	return descend(level)
}

//go:noinline
func descend(level C.int) C.int {
	sink = make([]byte, 40000)
	return C.c_descend(level-1) + C.c_leaf(1000)
}

func main() {
	go func() {
		for {
			C.c_make_thread()
		}
	}()
	go func() {
		for {
			C.c_sort()
		}
	}()
	go func() {
		for {
			C.c_descend(4)
		}
	}()
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
}
