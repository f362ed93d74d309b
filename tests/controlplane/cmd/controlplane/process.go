package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// process is a child whose end is announced once on done.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan error
	gone bool
}

func start(program, log string, args []string) (*process, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("%s is missing: run make controlplane", program)
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, done: make(chan error, 1)}
	go func() { p.done <- cmd.Wait() }()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended never fires for a process that was killed on purpose.
func (p *process) ended() <-chan error {
	if p == nil || p.gone {
		return nil
	}
	return p.done
}

func (p *process) signal(s syscall.Signal) error {
	if p == nil || p.gone {
		return errors.New("kube-apiserver does not run: send restart first")
	}
	return p.cmd.Process.Signal(s)
}

func (p *process) kill() {
	if p == nil || p.gone {
		return
	}
	p.gone = true
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail is the end of the log, for error messages.
func (p *process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	return "  " + strings.Join(lines, "\n  ")
}
