//go:build !linux

package main

import "syscall"

// dieWithParent has no counterpart here: a supervisor killed with SIGKILL
// leaves its children behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
