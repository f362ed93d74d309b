// Command checkmetrics reads the answer of a /metrics endpoint from standard input and parses it with Prometheus' own
// parser, as a scrape would. It prints each metric family with its type and its number of series, and exits with 1 if
// Prometheus would refuse the answer or would be misled by it.
//
//	curl -s -H 'Accept: application/openmetrics-text' … | checkmetrics 'application/openmetrics-text; version=1.0.0'
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// family is what the answer says of one metric family.
type family struct {
	name   string
	kind   model.MetricType
	help   bool
	series int
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: checkmetrics CONTENT-TYPE < METRICS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "checkmetrics:", err)
		os.Exit(1)
	}
}

func run(contentType string, in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	families, err := parse(contentType, text)
	if err != nil {
		return err
	}
	for _, f := range families {
		fmt.Fprintf(out, "%s %s %d\n", f.name, f.kind, f.series)
	}
	return nil
}

// parse returns the families in the order of the answer, or every fault that it finds.
func parse(contentType string, text []byte) ([]*family, error) {
	p, err := textparse.New(text, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, fmt.Errorf("content type %q: %w", contentType, err)
	}
	var (
		families []*family
		faults   []error
		seen     = map[string]bool{}
	)
	named := func(name string) *family {
		i := slices.IndexFunc(families, func(f *family) bool { return f.name == name })
		if i < 0 {
			families = append(families, &family{name: name, kind: model.MetricTypeUnknown})
			i = len(families) - 1
		}
		return families[i]
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(append(faults, err)...)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			f := named(string(name))
			if f.kind != model.MetricTypeUnknown {
				faults = append(faults, fmt.Errorf("%s: its type is given twice", name))
			}
			f.kind = kind
		case textparse.EntryHelp:
			name, text := p.Help()
			f := named(string(name))
			f.help = true
			if len(text) == 0 {
				faults = append(faults, fmt.Errorf("%s: its help is empty", name))
			}
		case textparse.EntrySeries, textparse.EntryHistogram:
			var series labels.Labels
			p.Labels(&series)
			if id := series.String(); seen[id] {
				faults = append(faults, fmt.Errorf("%s appears twice", id))
			} else {
				seen[id] = true
			}
			f := owner(families, series.Get(model.MetricNameLabel))
			if f == nil {
				faults = append(faults, fmt.Errorf("%s belongs to no family that was announced", series))
				continue
			}
			f.series++
		}
	}
	for _, f := range families {
		if f.kind == model.MetricTypeUnknown {
			faults = append(faults, fmt.Errorf("%s: no type", f.name))
		}
		if !f.help {
			faults = append(faults, fmt.Errorf("%s: no help", f.name))
		}
	}
	if len(families) == 0 {
		faults = append(faults, errors.New("no metrics at all"))
	}
	return families, errors.Join(faults...)
}

// owner finds the family of a series: the last one whose name, with a suffix that its type allows, is the series' name.
func owner(families []*family, series string) *family {
	suffixes := map[model.MetricType][]string{
		model.MetricTypeCounter:   {"_total", "_created", ""},
		model.MetricTypeHistogram: {"_bucket", "_sum", "_count", "_created"},
		model.MetricTypeSummary:   {"", "_sum", "_count", "_created"},
		model.MetricTypeInfo:      {"_info"},
		model.MetricTypeGauge:     {""},
	}
	for _, f := range slices.Backward(families) {
		if rest, ok := strings.CutPrefix(series, f.name); ok && slices.Contains(suffixes[f.kind], rest) {
			return f
		}
	}
	return nil
}
