package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

const patience = 30 * time.Second

var client = &http.Client{Timeout: time.Minute}

// until asks every 100 ms for at most half a minute.
func until(what string, ask func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s: %w", what, patience, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// address finds the log line `{"message":"Listening","listener":…,"address":…}`.
func address(log, listener string) error {
	return until("the "+listener+" listener in "+log, func() error {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			type fields struct{ Message, Listener, Address string }
			var entry struct {
				fields
				Fields fields `json:"fields"`
			}
			if json.Unmarshal([]byte(line), &entry) != nil {
				continue
			}
			for _, f := range []fields{entry.fields, entry.Fields} {
				if f.Message == "Listening" && f.Listener == listener {
					fmt.Println(f.Address)
					return nil
				}
			}
		}
		return errors.New("no such line yet")
	})
}

func ready(url string) error {
	return until(url, func() error {
		answer, err := client.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", answer.Status, body)
		}
		return nil
	})
}

func post(url string, body any) (int, []byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	answer, err := client.Post(url, "application/json", bytes.NewReader(data))
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// postAlerts sends what Prometheus sends: an array, endsAt a few minutes ahead.
func postAlerts(intake string, names []string) error {
	now := time.Now().UTC()
	alerts := []map[string]any{}
	for _, name := range names {
		alerts = append(alerts, map[string]any{
			"labels":       map[string]string{"alertname": name, "severity": "critical", "namespace": "shop", "instance": "db-0"},
			"annotations":  map[string]string{"summary": name + " on db-0"},
			"startsAt":     now.Format(time.RFC3339Nano),
			"endsAt":       now.Add(4 * time.Minute).Format(time.RFC3339Nano),
			"generatorURL": "http://prometheus.example/graph?g0.expr=up",
		})
	}
	status, text, err := post(intake+"/api/v2/alerts", alerts)
	if err != nil {
		return err
	}
	fmt.Printf("POST /api/v2/alerts (%s) -> %d\n", strings.Join(names, ", "), status)
	if status != http.StatusOK {
		return fmt.Errorf("the intake refused: %s", text)
	}
	return nil
}

func publish(api, strategy, name string, targets []string) error {
	status, text, err := post(api+"/api/v1/publish/parallel", map[string]any{
		"alert": map[string]any{
			"labels":      map[string]string{"alertname": name, "severity": "warning"},
			"annotations": map[string]string{"summary": "Published by hand"},
		},
		"target_names": targets,
		"options":      map[string]any{"strategy": strategy, "timeout": "20s"},
	})
	if err != nil {
		return err
	}
	var result struct {
		Total      int     `json:"total_targets"`
		Success    int     `json:"success_count"`
		Failure    int     `json:"failure_count"`
		Skipped    int     `json:"skipped_count"`
		Rate       float64 `json:"success_rate"`
		Partial    bool    `json:"is_partial_success"`
		DurationMS float64 `json:"duration_ms"`
		Results    []struct {
			Name       string  `json:"target_name"`
			Type       string  `json:"target_type"`
			Success    bool    `json:"success"`
			Skipped    bool    `json:"skipped"`
			SkipReason string  `json:"skip_reason"`
			ErrorType  string  `json:"error_type"`
			StatusCode int     `json:"status_code"`
			DurationMS float64 `json:"duration_ms"`
		} `json:"results"`
	}
	if err := json.Unmarshal(text, &result); err != nil || status != http.StatusOK {
		return fmt.Errorf("publish answered %d: %s", status, text)
	}
	fmt.Printf("POST /api/v1/publish/parallel (%s) -> %d\n", strategy, status)
	fmt.Printf("total %d, success %d, failure %d, skipped %d, success rate %.0f %%, partial success %t, %.0f ms\n",
		result.Total, result.Success, result.Failure, result.Skipped, result.Rate, result.Partial, result.DurationMS)
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "TARGET\tTYPE\tRESULT\tWHY\tHTTP\tMS")
	for _, r := range result.Results {
		outcome, why, code := "failed", r.ErrorType, "-"
		if r.Success {
			outcome, why = "delivered", "-"
		}
		if r.Skipped {
			outcome, why = "skipped", r.SkipReason
		}
		if r.StatusCode != 0 {
			code = fmt.Sprint(r.StatusCode)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%.0f\n", r.Name, r.Type, outcome, why, code, r.DurationMS)
	}
	return table.Flush()
}

func received() ([]*receiver, error) {
	answer, err := client.Get("http://" + control + "/received")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var all []*receiver
	return all, json.NewDecoder(answer.Body).Decode(&all)
}

// await wants each alert exactly once: losing one and sending one twice are both faults.
func await(name string, alerts []string) error {
	return until(name, func() error {
		all, err := received()
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(r *receiver) bool { return r.Name == name })
		if at < 0 {
			return fmt.Errorf("no receiver %s", name)
		}
		for _, alert := range alerts {
			if got := all[at].Alerts[alert]; got != 1 {
				return fmt.Errorf("%s came %d times instead of once", alert, got)
			}
		}
		return nil
	})
}

func printReceived() error {
	all, err := received()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "RECEIVER\tPORT\tMANNER\tPROBES\tPOSTS\tALERTS (TIMES)")
	for _, r := range all {
		names := []string{}
		for name, times := range r.Alerts {
			names = append(names, fmt.Sprintf("%s (%d)", name, times))
		}
		slices.Sort(names)
		if len(names) == 0 {
			names = []string{"-"}
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%s\n", r.Name, r.Port, r.Manner, r.Probes, r.Posts, strings.Join(names, ", "))
	}
	return table.Flush()
}
