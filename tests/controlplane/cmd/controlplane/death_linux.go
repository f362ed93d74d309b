package main

import "syscall"

// dieWithParent lets the kernel end a child whose supervisor was killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
