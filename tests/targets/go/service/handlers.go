// SPDX-License-Identifier: Apache-2.0

//go:build pprof

package main

import _ "net/http/pprof"
