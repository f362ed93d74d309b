package promtools

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// metric is one line of testdata/metrics.txt.
type metric struct {
	kind string
	// Label names; where the set of values is closed, the values.
	labels map[string][]string
}

// Labels that a scrape adds, and the one that a histogram's buckets carry.
var scrapeLabels = []string{"job", "namespace", "instance", "pod", "service", "endpoint", "container"}

func metrics(t *testing.T) map[string]metric {
	t.Helper()
	path := filepath.Join("testdata", "metrics.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]metric{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) < 2 || !slices.Contains([]string{"counter", "gauge", "histogram"}, fields[1]) {
			t.Fatalf("%s: no name and type in %q", path, line)
		}
		if (fields[1] == "counter") != strings.HasSuffix(fields[0], "_total") {
			t.Errorf("%s: counters, and only counters, end in _total: %q", path, line)
		}
		m := metric{kind: fields[1], labels: map[string][]string{}}
		for _, label := range fields[2:] {
			name, values, closed := strings.Cut(label, "=")
			m.labels[name] = nil
			if closed {
				m.labels[name] = strings.Split(values, "|")
			}
		}
		known[fields[0]] = m
	}
	return known
}

// find returns the metric that a name in a query stands for.
func find(known map[string]metric, name string) (metric, bool) {
	if m, ok := known[name]; ok {
		return m, m.kind != "histogram"
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			m, ok := known[base]
			return m, ok && m.kind == "histogram"
		}
	}
	return metric{}, false
}

// checkQuery reports every metric, label and label value of a query that does not exist.
func checkQuery(t *testing.T, known map[string]metric, where, query string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		m, ok := find(known, selector.Name)
		if !ok && selector.Name != "up" {
			t.Errorf("%s: there is no metric %q", where, selector.Name)
		}
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name == labels.MetricName || slices.Contains(scrapeLabels, matcher.Name) {
				continue
			}
			values, ok := m.labels[matcher.Name]
			if !ok {
				t.Errorf("%s: %s has no label %q", where, selector.Name, matcher.Name)
			}
			for _, word := range strings.Split(matcher.Value, "|") {
				if values != nil && !slices.Contains(values, word) {
					t.Errorf("%s: label %s of %s is never %q", where, matcher.Name, selector.Name, word)
				}
			}
		}
		return nil
	})
}

func TestQueriesOfTheRulesUseMetricsThatExist(t *testing.T) {
	known := metrics(t)
	for name, rule := range rules(t) {
		checkQuery(t, known, name, rule.Expr)
	}
}

var (
	promqlBlock = regexp.MustCompile("(?s)```promql\n(.*?)```")
	metricName  = regexp.MustCompile(`fanfare_[a-z0-9_]+`)
)

func TestRunbooksUseMetricsThatExist(t *testing.T) {
	known := metrics(t)
	paths, err := filepath.Glob(filepath.Join(root(), "docs", "runbooks", "*.md"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no runbooks: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			_, exact := known[name]
			if _, ok := find(known, name); !ok && !exact {
				t.Errorf("%s: there is no metric %q", path, name)
			}
		}
		for _, block := range promqlBlock.FindAllStringSubmatch(string(text), -1) {
			for query := range strings.SplitSeq(strings.TrimSpace(block[1]), "\n\n") {
				checkQuery(t, known, path, query)
			}
		}
	}
}

func TestEveryAlertHasARunbookWithItsFourSections(t *testing.T) {
	for name := range rules(t) {
		path := filepath.Join(root(), "docs", "runbooks", name+".md")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		rest := string(text)
		for _, heading := range []string{"# " + name + "\n", "\n## Meaning\n", "\n## Impact\n", "\n## Diagnosis\n", "\n## Mitigation\n"} {
			_, after, ok := strings.Cut(rest, heading)
			if !ok {
				t.Errorf("%s: no %q, or not in its place", path, strings.TrimSpace(heading))
				break
			}
			rest = "\n" + after
		}
		if !promqlBlock.Match(text) {
			t.Errorf("%s: no query to diagnose with", path)
		}
	}
}

// The README's table is written from the program's own registry, so this ties the rules to what is really exposed.
func TestListOfMetricsIsThatOfTheReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(fanfare_[a-z0-9_]+)` \\| (\\w+) \\| ([^|]*) \\|")
	rows := row.FindAllStringSubmatch(string(text), -1)
	if len(rows) == 0 {
		t.Skip("SKIP: README.md has no table of metrics")
	}
	known, listed := metrics(t), map[string]bool{}
	for _, match := range rows {
		name, kind := match[1], match[2]
		listed[name] = true
		m, ok := known[name]
		if !ok || m.kind != kind {
			t.Errorf("testdata/metrics.txt lacks %s %s", name, kind)
			continue
		}
		for _, label := range strings.FieldsFunc(match[3], func(r rune) bool { return r == ',' || r == ' ' || r == '`' }) {
			if _, ok := m.labels[label]; !ok {
				t.Errorf("testdata/metrics.txt: %s lacks the label %s", name, label)
			}
		}
	}
	for name, m := range known {
		// Without a target there is no series of its own, so the registry that the table is written from may not show it.
		if _, perTarget := m.labels["target"]; !perTarget && !listed[name] {
			t.Errorf("testdata/metrics.txt: README.md does not list %s", name)
		}
	}
}
