// Command controlplane runs etcd and kube-apiserver for tests and the demo.
//
// It prints one JSON line when the API server is ready, obeys commands on
// standard input (one a line, each answered by one JSON line) and takes both
// servers down when standard input closes, on SIGTERM, or when it dies itself.
//
//	pause     stop the API server (SIGSTOP): connections stay open and silent
//	continue  let it run again
//	kill      end the API server at once (SIGKILL); etcd stays
//	restart   kill it if it runs, start it on the same port, wait until ready
//	compact   drop etcd's history, so that older resource versions are gone
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

type options struct {
	bin, dir, parent string
	detached, keep   bool
	within, life     time.Duration
}

func main() {
	// The kernel sends a child its parent-death signal when the *thread* that
	// started it ends. The main thread ends last, so every child starts here.
	runtime.LockOSThread()

	opts := options{}
	self, _ := os.Executable()
	flag.StringVar(&opts.bin, "bin", filepath.Dir(self), "directory that holds etcd and kube-apiserver")
	flag.StringVar(&opts.dir, "dir", "", "working directory (default: a new temporary one, removed at the end)")
	flag.BoolVar(&opts.keep, "keep", false, "leave a temporary working directory behind (logs, data)")
	flag.BoolVar(&opts.detached, "detached", false, "ignore standard input: run until SIGTERM")
	flag.DurationVar(&opts.within, "within", 2*time.Minute, "how long the servers may take to become ready")
	flag.DurationVar(&opts.life, "for", 0, "end after this time (0: no limit)")
	flag.Parse()

	if err := run(opts); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
}

func run(opts options) error {
	temporary := opts.dir == ""
	if temporary {
		dir, err := os.MkdirTemp("", "fanfare-controlplane-")
		if err != nil {
			return err
		}
		opts.dir = dir
	} else if err := os.MkdirAll(opts.dir, 0o700); err != nil {
		return err
	}
	if temporary && !opts.keep {
		defer os.RemoveAll(opts.dir)
	}

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	var commands <-chan string
	if !opts.detached {
		commands = readLines()
	}

	p, err := startPlane(opts, signals)
	if err != nil {
		return err
	}
	defer p.stop()
	answer(p.describe())

	var over <-chan time.Time
	if opts.life > 0 {
		over = time.After(opts.life)
	}
	for {
		select {
		case <-signals:
			return nil
		case <-over:
			return nil
		case line, open := <-commands:
			if !open {
				return nil
			}
			answer(p.obey(line))
		case err := <-p.etcd.done:
			p.etcd.gone = true
			return fmt.Errorf("etcd ended by itself (%v)\n%s", err, p.etcd.tail())
		case err := <-p.api.ended():
			p.api.gone = true
			return fmt.Errorf("kube-apiserver ended by itself (%v)\n%s", err, p.api.tail())
		}
	}
}

// startPlane tries three times: between choosing a free port and using it,
// another process may take it.
func startPlane(opts options, signals <-chan os.Signal) (*plane, error) {
	var last error
	for attempt := 0; attempt < 3; attempt++ {
		p, err := newPlane(opts)
		if err != nil {
			return nil, err
		}
		last = p.start(opts.within, signals)
		if last == nil {
			return p, nil
		}
		p.stop()
		if !errors.Is(last, errEndedEarly) {
			break
		}
	}
	return nil, last
}

func readLines() <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(os.Stdin)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	return lines
}

func answer(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", line)
}
