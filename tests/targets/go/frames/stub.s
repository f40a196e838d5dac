// SPDX-License-Identifier: Apache-2.0

// Lets frames.go declare functions that the runtime has.
