package main

import (
	"strings"
	"testing"
)

const openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"

const good = `# HELP fanfare_publish Publishes by result.
# TYPE fanfare_publish counter
fanfare_publish_total{result="success"} 3
fanfare_publish_total{result="failure"} 0
# HELP fanfare_publish_duration_seconds Time of a whole publish.
# TYPE fanfare_publish_duration_seconds histogram
# UNIT fanfare_publish_duration_seconds seconds
fanfare_publish_duration_seconds_sum 0.5
fanfare_publish_duration_seconds_count 3
fanfare_publish_duration_seconds_bucket{le="1.0"} 3
fanfare_publish_duration_seconds_bucket{le="+Inf"} 3
# HELP fanfare_leader Whether this process writes status.
# TYPE fanfare_leader gauge
fanfare_leader 1
# EOF
`

func TestGoodAnswerIsCounted(t *testing.T) {
	var out strings.Builder
	if err := run(openMetrics, strings.NewReader(good), &out); err != nil {
		t.Fatal(err)
	}
	want := "fanfare_publish counter 2\nfanfare_publish_duration_seconds histogram 4\nfanfare_leader gauge 1\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestFaultsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ contentType, text, says string }{
		"cut off":            {openMetrics, strings.TrimSuffix(good, "# EOF\n"), "# EOF"},
		"not OpenMetrics":    {openMetrics, "what is this\n# EOF\n", "what is"},
		"twice":              {openMetrics, strings.Replace(good, "failure", "success", 1), "appears twice"},
		"no type":            {openMetrics, strings.Replace(good, "# TYPE fanfare_leader gauge\n", "", 1), "fanfare_leader"},
		"no help":            {openMetrics, strings.Replace(good, "# HELP fanfare_leader Whether this process writes status.\n", "", 1), "fanfare_leader: no help"},
		"doubled suffix":     {openMetrics, strings.Replace(good, "fanfare_publish_total{", "fanfare_publish_total_total{", 2), "belongs to no family"},
		"empty":              {openMetrics, "# EOF\n", "no metrics at all"},
		"a web page":         {"text/html", "<html></html>", "text/html"},
		"unknown media type": {"", good, "content type"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(c.contentType, strings.NewReader(c.text), &strings.Builder{})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error lacks %q: %v", c.says, err)
			}
		})
	}
}

func TestPlainTextFormatIsReadToo(t *testing.T) {
	text := "# HELP up Whether.\n# TYPE up gauge\nup 1\n"
	var out strings.Builder
	if err := run("text/plain; version=0.0.4", strings.NewReader(text), &out); err != nil || out.String() != "up gauge 1\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
