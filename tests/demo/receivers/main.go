// Command receivers is the demo's other side: five local receivers that behave as differently as
// real ones do, and the small clients that the demo needs (a fresh machine may lack curl and jq).
package main

import (
	"fmt"
	"os"
)

const usage = `usage:
  receivers serve [-for 30m] [-detached]             run the receivers (ends with standard input)
  receivers hold [-for 4h] [-detached] LOG COMMAND ARGS...     run COMMAND, end it with standard input
  receivers address LOG LISTENER                     wait for a listener in a log, print its address
  receivers ready URL                                wait until URL answers 200
  receivers alerts INTAKE_URL NAME...                post one alert per NAME as Prometheus does
  receivers publish API_URL STRATEGY NAME TARGET...  publish one alert to named targets, print the result
  receivers await RECEIVER NAME...                   wait until a receiver got each alert, exactly once
  receivers received                                 print what each receiver got
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "receivers: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	command, args := args[0], args[1:]
	switch {
	case command == "serve":
		return serve(args)
	case command == "hold":
		return hold(args)
	case command == "address" && len(args) == 2:
		return address(args[0], args[1])
	case command == "ready" && len(args) == 1:
		return ready(args[0])
	case command == "alerts" && len(args) >= 2:
		return postAlerts(args[0], args[1:])
	case command == "publish" && len(args) >= 4:
		return publish(args[0], args[1], args[2], args[3:])
	case command == "await" && len(args) >= 2:
		return await(args[0], args[1:])
	case command == "received" && len(args) == 0:
		return printReceived()
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("not understood: %s", command)
}
