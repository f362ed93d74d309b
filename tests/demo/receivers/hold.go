package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// hold runs a command that ends with us: when standard input closes, when its time is over or we
// are told to stop, it gets SIGTERM and its own time to finish.
func hold(args []string) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	detached := flags.Bool("detached", false, "do not end with standard input")
	life := flags.Duration("for", 4*time.Hour, "end it after this time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	if len(args) < 2 {
		return errors.New("hold needs a log file and a command")
	}
	log, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(args[1], args[2:]...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-signals:
	case <-time.After(*life):
	case <-inputEnds(*detached):
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-ended
}
