package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const control = "127.0.0.1:18080"

// receiver is one far end; all listen on 127.0.0.1.
type receiver struct {
	Name   string `json:"name"`
	Port   int    `json:"port"`
	Manner string `json:"manner"`
	status int
	delay  time.Duration

	mu     sync.Mutex
	Probes int            `json:"probes"`
	Posts  int            `json:"posts"`
	Alerts map[string]int `json:"alerts"`
	Last   string         `json:"last"`
}

func receivers() []*receiver {
	all := []*receiver{
		{Name: "healthy", Port: 18081, Manner: "answers 200 at once", status: http.StatusOK},
		{Name: "slow", Port: 18082, Manner: "answers 200 after 6 s", status: http.StatusOK, delay: 6 * time.Second},
		{Name: "failing", Port: 18083, Manner: "answers 500", status: http.StatusInternalServerError},
		{Name: "dead", Port: 18084, Manner: "nobody listens"},
		{Name: "rejecting", Port: 18085, Manner: "answers 401", status: http.StatusUnauthorized},
	}
	for _, r := range all {
		r.Alerts = map[string]int{}
	}
	return all
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	life := flags.Duration("for", 30*time.Minute, "end after this time")
	detached := flags.Bool("detached", false, "do not end with standard input")
	if err := flags.Parse(args); err != nil {
		return err
	}
	all := receivers()
	failed := make(chan error, 1)
	listen := func(address string, handler http.Handler) error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%w: the demo needs ports 18080 to 18085 of 127.0.0.1 (an earlier demo? make demo-stop)", err)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		go func() { failed <- server.Serve(listener) }()
		return nil
	}
	for _, r := range all {
		if r.status == 0 {
			continue
		}
		if err := listen(fmt.Sprintf("127.0.0.1:%d", r.Port), r); err != nil {
			return err
		}
	}
	answer := func(w http.ResponseWriter, _ *http.Request) { writeReceived(w, all) }
	if err := listen(control, http.HandlerFunc(answer)); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	case <-time.After(*life):
	case <-inputEnds(*detached):
	}
	return nil
}

// inputEnds fires when whoever started us is gone.
func inputEnds(detached bool) <-chan struct{} {
	if detached {
		return nil
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	return ended
}

// ServeHTTP takes posts for deliveries and everything else for health checks.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, 4<<20))
	if err != nil {
		return
	}
	r.record(request, body)
	select {
	case <-time.After(r.delay):
	case <-request.Context().Done():
		return
	}
	w.WriteHeader(r.status)
}

func (r *receiver) record(request *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if request.Method != http.MethodPost && request.Method != http.MethodPut {
		r.Probes++
		return
	}
	r.Posts++
	r.Last = string(body[:min(len(body), 2000)])
	var value any
	if json.Unmarshal(body, &value) == nil {
		names := map[string]bool{}
		alertNames(value, names)
		for name := range names {
			r.Alerts[name]++
		}
	}
}

// alertNames finds the label alertname wherever a payload format puts it.
func alertNames(value any, into map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if name, is := inner.(string); is && key == "alertname" {
				into[name] = true
			}
			alertNames(inner, into)
		}
	case []any:
		for _, inner := range value {
			alertNames(inner, into)
		}
	}
}

func writeReceived(w http.ResponseWriter, all []*receiver) {
	for _, r := range all {
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all)
}
