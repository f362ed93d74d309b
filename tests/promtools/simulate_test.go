package promtools

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// step is the time between two scrapes and between two evaluations.
const step = 30 * time.Second

// firing is one alert that fires, as Prometheus would send it.
type firing struct {
	labels      labels.Labels
	annotations map[string]string
}

// sample is a float at a time. The promqltest package offers the same and brings the whole TSDB with three cloud SDKs.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// memory is a storage of a few series.
type memory []*storage.SeriesEntry

func (m memory) Querier(int64, int64) (storage.Querier, error) {
	return querier{Querier: storage.NoopQuerier(), series: m}, nil
}

type querier struct {
	storage.Querier
	series memory
}

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{}
	for _, s := range q.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Lset.Get(m.Name)) }) {
			set.series = append(set.series, s)
		}
	}
	slices.SortFunc(set.series, func(a, b *storage.SeriesEntry) int { return labels.Compare(a.Lset, b.Lset) })
	return set
}

type seriesSet struct {
	series []*storage.SeriesEntry
	next   int
}

func (s *seriesSet) Next() bool                        { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.next-1] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// load reads series in the notation of promtool's rule tests: `name{label="value"} 0+1x20`, one sample per step.
func load(t *testing.T, text string) memory {
	t.Helper()
	p := parser.NewParser(parser.Options{})
	var m memory
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		lset, values, err := p.ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("series %q: %v", line, err)
		}
		var samples []chunks.Sample
		for i, v := range values {
			if !v.Omitted {
				samples = append(samples, sample{t: int64(i) * step.Milliseconds(), f: v.Value})
			}
		}
		m = append(m, storage.NewListSeries(lset, samples))
	}
	return m
}

// evaluate runs a rule over the series step by step, as Prometheus does, and returns what fires at the end.
func evaluate(t *testing.T, rule rulefmt.Rule, m memory, end time.Duration) []firing {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:    1_000_000,
		Timeout:       time.Minute,
		LookbackDelta: 5 * time.Minute,
		Parser:        parser.NewParser(parser.Options{}),
	})
	defer engine.Close()
	since := map[string]time.Duration{}
	var fires []firing
	for now := time.Duration(0); now <= end; now += step {
		query, err := engine.NewInstantQuery(t.Context(), m, nil, rule.Expr, time.UnixMilli(now.Milliseconds()))
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		vector, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		active := map[string]time.Duration{}
		fires = nil
		for _, s := range vector {
			id := s.Metric.String()
			active[id] = now
			if start, ok := since[id]; ok {
				active[id] = start
			}
			if now-active[id] >= time.Duration(rule.For) {
				fires = append(fires, expand(t, rule, s, now))
			}
		}
		since = active
		query.Close()
	}
	return fires
}

// expand makes the alert of a sample: its labels and the text of its annotations.
func expand(t *testing.T, rule rulefmt.Rule, s promql.Sample, now time.Duration) firing {
	t.Helper()
	data := template.AlertTemplateData(s.Metric.Map(), nil, "", s)
	text := func(kind, value string) string {
		defs := "{{$labels := .Labels}}{{$value := .Value}}"
		out, err := template.NewTemplateExpander(t.Context(), defs+value, "__alert_"+rule.Alert, data,
			model.Time(now.Milliseconds()), nil, nil, []string{"missingkey=error"}).Expand()
		if err != nil {
			t.Fatalf("%s: %s: %v", rule.Alert, kind, err)
		}
		return out
	}
	b := labels.NewBuilder(s.Metric).Del(model.MetricNameLabel).Set(model.AlertNameLabel, rule.Alert)
	for name, value := range rule.Labels {
		b.Set(name, text("label "+name, value))
	}
	f := firing{labels: b.Labels(), annotations: map[string]string{}}
	for name, value := range rule.Annotations {
		f.annotations[name] = text("annotation "+name, value)
	}
	return f
}

func (f firing) String() string { return fmt.Sprintf("%s %q", f.labels, f.annotations) }
