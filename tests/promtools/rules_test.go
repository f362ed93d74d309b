// Package promtools checks Fanfare's alert rules, runbooks and metrics with Prometheus' own code.
//
// Run it with `go test -count=1 ./...`: the go tool does not notice changes of files outside of this module and would
// answer from its cache.
package promtools

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// root is the root of the repository; FANFARE_ROOT overrides it.
func root() string {
	if dir := os.Getenv("FANFARE_ROOT"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..")
}

// rules reads the alert rules that the chart ships. An error in the file fails the test.
func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	path := filepath.Join(root(), "charts", "fanfare", "files", "rules.yaml")
	groups, errs := rulefmt.ParseFile(path, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Errorf("%s: %v", path, err)
	}
	if groups == nil {
		t.Fatalf("%s: no groups", path)
	}
	byName := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if _, twice := byName[rule.Alert]; twice {
				t.Errorf("%s: alert %q appears twice", path, rule.Alert)
			}
			byName[rule.Alert] = rule
		}
	}
	return byName
}

// scenario is a stretch of time that one alert should, or should not, notice.
type scenario struct {
	name   string
	series string
	after  time.Duration
	// Labels of each alert that should fire, beside alertname and severity; nil: none.
	fires []map[string]string
	// Words that the description should hold.
	says string
}

const pod = `job="fanfare",namespace="monitoring",pod="fanfare-0"`

var scenarios = map[string][]scenario{
	"HighPublishingFailureRate": {
		{
			name: "one attempt in three fails",
			series: `fanfare_delivery_attempts_total{POD,type="Slack",result="delivered"} 0+2x60
				fanfare_delivery_attempts_total{POD,type="Slack",result="timeout"} 0+1x60
				fanfare_delivery_attempts_total{POD,type="Webhook",result="delivered"} 0+2x60
				fanfare_delivery_attempts_total{POD,type="Webhook",result="timeout"} 0x60`,
			after: 25 * time.Minute,
			fires: []map[string]string{{"type": "Slack", "namespace": "monitoring"}},
			says:  "33.33% of the delivery attempts to targets of type Slack",
		},
		{
			name: "nothing but failures, at the pace of Prometheus' re-sends",
			series: `fanfare_delivery_attempts_total{POD,type="Slack",result="delivered"} 0x60
				fanfare_delivery_attempts_total{POD,type="Slack",result="auth"} 0+0x4 1+1x55`,
			after: 20 * time.Minute,
			fires: []map[string]string{{"type": "Slack"}},
			says:  "100%",
		},
		{
			name: "one attempt in twenty fails",
			series: `fanfare_delivery_attempts_total{POD,type="Slack",result="delivered"} 0+19x60
				fanfare_delivery_attempts_total{POD,type="Slack",result="timeout"} 0+1x60`,
			after: 30 * time.Minute,
		},
		{
			name: "a single failure of a single alert",
			series: `fanfare_delivery_attempts_total{POD,type="Slack",result="delivered"} 0x60
				fanfare_delivery_attempts_total{POD,type="Slack",result="timeout"} 0x9 1x50`,
			after: 12 * time.Minute,
		},
		{
			name: "callers that leave are no failures",
			series: `fanfare_delivery_attempts_total{POD,type="Slack",result="delivered"} 0+1x60
				fanfare_delivery_attempts_total{POD,type="Slack",result="cancelled"} 0+9x60`,
			after: 30 * time.Minute,
		},
	},
	"PublishingLatencyHigh": {
		{
			name: "one attempt in ten takes 8 s",
			series: `fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="1"} 0+9x60
				fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="5"} 0+9x60
				fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="10"} 0+10x60
				fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="+Inf"} 0+10x60`,
			after: 20 * time.Minute,
			fires: []map[string]string{{"type": "PagerDuty"}},
			says:  "take longer than 7.5s",
		},
		{
			name: "all attempts take a second",
			series: `fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="1"} 0+10x60
				fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="10"} 0+10x60
				fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="+Inf"} 0+10x60`,
			after: 20 * time.Minute,
		},
		{
			name: "no attempts at all",
			series: `fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="10"} 0x60
				fanfare_delivery_attempt_duration_seconds_bucket{POD,type="PagerDuty",le="+Inf"} 0x60`,
			after: 20 * time.Minute,
		},
	},
	"NoHealthyTargets": {
		{
			name: "all targets are unhealthy or rejected",
			series: `fanfare_targets{POD,type="Slack",state="healthy"} 1x2 0x30
				fanfare_targets{POD,type="Slack",state="degraded"} 0x32
				fanfare_targets{POD,type="Slack",state="unknown"} 0x32
				fanfare_targets{POD,type="Slack",state="unhealthy"} 0x2 1x30
				fanfare_targets{POD,type="Log",state="suspended"} 1x32
				fanfare_targets{POD,type="Webhook",state="rejected"} 1x32`,
			after: 5 * time.Minute,
			fires: []map[string]string{{"namespace": "monitoring"}},
			says:  "Alerts reach nobody",
		},
		{
			name: "one target of another type is degraded",
			series: `fanfare_targets{POD,type="Slack",state="unhealthy"} 3x32
				fanfare_targets{POD,type="Slack",state="healthy"} 0x32
				fanfare_targets{POD,type="Webhook",state="degraded"} 1x32`,
			after: 10 * time.Minute,
		},
		{
			name: "the only target that is not down has no health check",
			series: `fanfare_targets{POD,type="Slack",state="unhealthy"} 3x32
				fanfare_targets{POD,type="Slack",state="healthy"} 0x32
				fanfare_targets{POD,type="Webhook",state="unknown"} 1x32`,
			after: 10 * time.Minute,
		},
		{
			name: "nothing is configured yet",
			series: `fanfare_targets{POD,type="Slack",state="unhealthy"} 0x32
				fanfare_targets{POD,type="Slack",state="healthy"} 0x32`,
			after: 10 * time.Minute,
		},
		{
			name: "the only target is suspended",
			series: `fanfare_targets{POD,type="Slack",state="unhealthy"} 0x32
				fanfare_targets{POD,type="Slack",state="healthy"} 0x32
				fanfare_targets{POD,type="Slack",state="suspended"} 1x32`,
			after: 10 * time.Minute,
		},
	},
	"TargetUnhealthy": {
		{
			name: "one target of two is down",
			series: `fanfare_target_healthy{POD,target="sre/slack"} 1x2 0x20
				fanfare_target_healthy{POD,target="sre/pagerduty"} 1x22`,
			after: 8 * time.Minute,
			fires: []map[string]string{{"target": "sre/slack"}},
			says:  "Target sre/slack",
		},
		{
			name:   "a target has been away for four minutes",
			series: `fanfare_target_healthy{POD,target="sre/slack"} 1x1 0x20`,
			after:  5 * time.Minute,
		},
	},
	"WatchStalled": {
		{
			name: "one watch of two falls silent",
			series: `fanfare_watch_last_event_timestamp_seconds{POD,kind="PublishTarget"} 1000+0x40
				fanfare_watch_last_event_timestamp_seconds{POD,kind="AlertRoute"} 0+30x80
				fanfare_watch_errors_total{POD,kind="PublishTarget"} 0x80
				fanfare_watch_errors_total{POD,kind="AlertRoute"} 0x80`,
			after: 22 * time.Minute,
			fires: []map[string]string{{"kind": "PublishTarget"}},
			says:  "changes have no effect",
		},
		{
			name: "the API server was never reached",
			series: `fanfare_watch_last_event_timestamp_seconds{POD,kind="PublishTarget"} 0x40
				fanfare_watch_errors_total{POD,kind="PublishTarget"} 0+1x40`,
			after: 15 * time.Minute,
			fires: []map[string]string{{"kind": "PublishTarget"}},
		},
		{
			name: "a watch has been silent for four minutes",
			series: `fanfare_watch_last_event_timestamp_seconds{POD,kind="PublishTarget"} 0+30x20 600x20
				fanfare_watch_errors_total{POD,kind="PublishTarget"} 0+1x40`,
			after: 14 * time.Minute,
		},
		{
			name: "there is no Kubernetes",
			series: `fanfare_watch_last_event_timestamp_seconds{POD,kind="PublishTarget"} 0x40
				fanfare_watch_errors_total{POD,kind="PublishTarget"} 0x40`,
			after: 15 * time.Minute,
		},
		{
			name: "signs of life come every minute",
			series: `fanfare_watch_last_event_timestamp_seconds{POD,kind="PublishTarget"} 0 0 60 60 120 120 180 180 240 240 300 300 360 360 420 420
				fanfare_watch_errors_total{POD,kind="PublishTarget"} 0+1x15`,
			after: 450 * time.Second,
		},
	},
	"IntakeRejecting": {
		{
			name: "all posts are refused for overload",
			series: `fanfare_intake_requests_total{POD,source="v2",outcome="ok"} 0x60
				fanfare_intake_requests_total{POD,source="v2",outcome="overloaded"} 0+3x60
				fanfare_alerts_received_total{POD,source="v2",outcome="refused"} 0x60`,
			after: 15 * time.Minute,
			fires: []map[string]string{{"source": "v2", "outcome": "overloaded"}},
			says:  "100m requests or alerts a second from v2 senders",
		},
		{
			name: "a sender keeps posting one malformed alert among good ones",
			series: `fanfare_intake_requests_total{POD,source="v2",outcome="partial"} 0+1x60
				fanfare_alerts_received_total{POD,source="v2",outcome="accepted"} 0+9x60
				fanfare_alerts_received_total{POD,source="v2",outcome="invalid"} 0+1x60`,
			after: 15 * time.Minute,
			fires: []map[string]string{{"source": "v2", "outcome": "invalid"}},
		},
		{
			name: "one post is malformed, once",
			series: `fanfare_intake_requests_total{POD,source="v2",outcome="ok"} 0+1x60
				fanfare_intake_requests_total{POD,source="v2",outcome="bad_request"} 0x9 1x50`,
			after: 15 * time.Minute,
		},
		{
			name: "all is well",
			series: `fanfare_intake_requests_total{POD,source="v2",outcome="ok"} 0+1x60
				fanfare_intake_requests_total{POD,source="v2",outcome="bad_request"} 0x60
				fanfare_alerts_received_total{POD,source="v2",outcome="accepted"} 0+9x60
				fanfare_alerts_received_total{POD,source="v2",outcome="invalid"} 0x60`,
			after: 15 * time.Minute,
		},
	},
	"DeliveriesFailing": {
		{
			name: "one target of two takes nothing",
			series: `fanfare_target_publish_total{POD,target="sre/slack",result="success"} 0x80
				fanfare_target_publish_total{POD,target="sre/slack",result="failure"} 0x10 1+1x70
				fanfare_target_publish_total{POD,target="sre/pager",result="success"} 0+1x80
				fanfare_target_publish_total{POD,target="sre/pager",result="failure"} 0x80`,
			after: 20 * time.Minute,
			fires: []map[string]string{{"target": "sre/slack", "namespace": "monitoring"}},
			says:  "deliveries to sre/slack failed",
		},
		{
			name: "at the pace of the longest backoff",
			series: `fanfare_target_publish_total{POD,target="sre/slack",result="success"} 5x150
				fanfare_target_publish_total{POD,target="sre/slack",result="failure"} 0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x9 8x9 9x9 10x9`,
			after: 40 * time.Minute,
			fires: []map[string]string{{"target": "sre/slack"}},
		},
		{
			name: "a target that took nothing at first takes something again",
			series: `fanfare_target_publish_total{POD,target="sre/slack",result="success"} 0x30 1x50
				fanfare_target_publish_total{POD,target="sre/slack",result="failure"} 0+1x30 30x50`,
			after: 20 * time.Minute,
		},
		{
			name: "two failures",
			series: `fanfare_target_publish_total{POD,target="sre/slack",result="success"} 0x80
				fanfare_target_publish_total{POD,target="sre/slack",result="failure"} 0x10 1x5 2x60`,
			after: 20 * time.Minute,
		},
	},
	"DeliveriesDeadLettered": {
		{
			name: "one notification is too old",
			series: `fanfare_dead_letters_total{POD,reason="max_age"} 0x9 1x60
				fanfare_dead_letters_total{POD,reason="rejected"} 0x70`,
			after: 7 * time.Minute,
			fires: []map[string]string{{"reason": "max_age"}},
			says:  "1 notifications were given up as max_age",
		},
		{
			name:   "a quarter of an hour after the last one",
			series: `fanfare_dead_letters_total{POD,reason="max_age"} 0x9 1x60`,
			after:  25 * time.Minute,
		},
		{
			name: "a target is deleted while alerts are open there",
			series: `fanfare_dead_letters_total{POD,reason="target_deleted"} 0x9 5x60
				fanfare_dead_letters_total{POD,reason="route_deleted"} 0x9 5x60
				fanfare_dead_letters_total{POD,reason="target_removed"} 0x9 5x60
				fanfare_dead_letters_total{POD,reason="not_permitted"} 0x9 5x60`,
			after: 7 * time.Minute,
		},
	},
	"FallbackTold": {
		{
			name: "two alerts reach nobody but the fallback",
			series: `fanfare_fallbacks_total{POD,type="PagerDuty"} 0x9 2x60
				fanfare_fallbacks_total{POD,type="Slack"} 0x70`,
			after: 7 * time.Minute,
			fires: []map[string]string{{"type": "PagerDuty"}},
			says:  "2 notifications went to fallbacks of type PagerDuty",
		},
		{
			name:   "a quarter of an hour after the last one",
			series: `fanfare_fallbacks_total{POD,type="PagerDuty"} 0x9 2x60`,
			after:  25 * time.Minute,
		},
	},
	"OwedAgeHigh": {
		{
			name: "an alert waits for one target of two",
			series: `fanfare_owed_oldest_age_seconds{POD,target="sre/slack"} 0+30x80
				fanfare_owed_oldest_age_seconds{POD,target="sre/pager"} 0x80`,
			after: 22 * time.Minute,
			fires: []map[string]string{{"target": "sre/slack"}},
			says:  "accepted 22m 0s ago",
		},
		{
			name:   "something always waits, but never for a quarter of an hour",
			series: `fanfare_owed_oldest_age_seconds{POD,target="sre/slack"} 0+30x28 840x60`,
			after:  25 * time.Minute,
		},
	},
	"CircuitOpen": {
		{
			name: "open, with a trial every few minutes",
			series: `fanfare_circuit_state{POD,target="sre/slack",state="closed"} 1x4 0x30
				fanfare_circuit_state{POD,target="sre/slack",state="open"} 0x4 1x5 0 1x5 0 1x20
				fanfare_circuit_state{POD,target="sre/slack",state="half_open"} 0x4 0x5 1 0x5 1 0x20
				fanfare_circuit_state{POD,target="sre/pager",state="closed"} 1x34
				fanfare_circuit_state{POD,target="sre/pager",state="open"} 0x34`,
			after: 8 * time.Minute,
			fires: []map[string]string{{"target": "sre/slack"}},
			says:  "Everything is kept",
		},
		{
			name: "open for two minutes",
			series: `fanfare_circuit_state{POD,target="sre/slack",state="closed"} 1x4 0x4 1x30
				fanfare_circuit_state{POD,target="sre/slack",state="open"} 0x4 1x4 0x30`,
			after: 10 * time.Minute,
		},
	},
	"StoreNearlyFull": {
		{
			name: "new alerts are refused",
			series: `fanfare_store_full{POD} 0x5 1x30
				fanfare_store_free_bytes{POD} 60000000x35
				fanfare_store_file_bytes{POD} 940000000x35`,
			after: 6 * time.Minute,
			fires: []map[string]string{{"namespace": "monitoring"}},
			says:  "refused with 503",
		},
		{
			name: "the file grows into the last seventh of the volume",
			series: `fanfare_store_full{POD} 0x80
				fanfare_store_free_bytes{POD} 200000000-1000000x80
				fanfare_store_file_bytes{POD} 800000000+1000000x80`,
			after: 35 * time.Minute,
			fires: []map[string]string{{"job": "fanfare"}},
		},
		{
			name: "little is free, but the file holds room of its own and does not grow",
			series: `fanfare_store_full{POD} 0x80
				fanfare_store_free_bytes{POD} 100000000x80
				fanfare_store_file_bytes{POD} 900000000x80`,
			after: 35 * time.Minute,
		},
		{
			name: "a small file that grows on a disk with room",
			series: `fanfare_store_full{POD} 0x80
				fanfare_store_free_bytes{POD} 900000000x80
				fanfare_store_file_bytes{POD} 1000000+10000x80`,
			after: 35 * time.Minute,
		},
		{
			name: "nothing is on disk",
			series: `fanfare_store_full{POD} 0x80
				fanfare_store_free_bytes{POD} 0x80
				fanfare_store_file_bytes{POD} 1000000+1000000x80`,
			after: 35 * time.Minute,
		},
	},
	"StoreDamaged": {
		{
			name: "the file was moved aside at the start",
			series: `fanfare_store_damaged{POD} 1x20
				fanfare_store_set_aside_total{POD} 0x20`,
			after: time.Minute,
			fires: []map[string]string{{"namespace": "monitoring"}},
			says:  "may not have been delivered",
		},
		{
			name: "one record was set aside, and none is known of the day before",
			series: `fanfare_store_damaged{POD} 0x20
				fanfare_store_set_aside_total{POD} 1x20`,
			after: time.Minute,
			fires: []map[string]string{{"namespace": "monitoring"}},
		},
		{
			name: "one more record was set aside at a start with another address",
			series: `fanfare_store_damaged{POD} 0x3100
				fanfare_store_set_aside_total{POD,instance="10.0.0.1:8080"} 1x2890
				fanfare_store_set_aside_total{POD,instance="10.0.0.2:8080"} _x2900 2x200`,
			after: 25 * time.Hour,
			fires: []map[string]string{{"namespace": "monitoring"}},
		},
		{
			name: "a record was set aside long ago",
			series: `fanfare_store_damaged{POD} 0x3100
				fanfare_store_set_aside_total{POD} 1x3100`,
			after: 25 * time.Hour,
		},
		{
			name: "all is well",
			series: `fanfare_store_damaged{POD} 0x20
				fanfare_store_set_aside_total{POD} 0x20`,
			after: 5 * time.Minute,
		},
	},
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	all := rules(t)
	for name, rule := range all {
		var positive, negative bool
		for _, s := range scenarios[name] {
			positive = positive || s.fires != nil
			negative = negative || s.fires == nil
			t.Run(name+"/"+s.name, func(t *testing.T) {
				got := evaluate(t, rule, load(t, strings.ReplaceAll(s.series, "POD", pod)), s.after)
				if len(got) != len(s.fires) {
					t.Fatalf("%d alerts fire instead of %d: %v", len(got), len(s.fires), got)
				}
				for i, want := range s.fires {
					for label, value := range want {
						if got[i].labels.Get(label) != value {
							t.Errorf("label %s is not %q: %v", label, value, got[i])
						}
					}
					if !strings.Contains(got[i].annotations["description"], s.says) {
						t.Errorf("the description lacks %q: %v", s.says, got[i])
					}
				}
			})
		}
		if !positive || !negative {
			t.Errorf("%s needs a scenario that fires it and one that does not", name)
		}
	}
	for name := range scenarios {
		if _, known := all[name]; !known {
			t.Errorf("scenarios for %q, which is no alert", name)
		}
	}
}

func TestAlertsSayWhatHappensAndWhereToRead(t *testing.T) {
	for name, rule := range rules(t) {
		if s := rule.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity is %q", name, s)
		}
		for _, annotation := range []string{"summary", "description", "runbook_url"} {
			if rule.Annotations[annotation] == "" {
				t.Errorf("%s: no %s", name, annotation)
			}
		}
		if !strings.HasSuffix(rule.Annotations["runbook_url"], "/runbooks/"+name+".md") {
			t.Errorf("%s: runbook_url is %q", name, rule.Annotations["runbook_url"])
		}
	}
}
