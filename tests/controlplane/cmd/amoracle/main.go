// Command amoracle answers what Alertmanager's own packages say: one JSON question per line on standard
// input, one JSON answer per line on standard output, in the same order. It ends with its input.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
)

// question holds one of these.
type question struct {
	// Labels: what is their fingerprint, and how are they printed?
	Labels model.LabelSet `json:"labels,omitempty"`
	// Matchers: is it a list of matchers, and which of Sets do they take? Single: it must be one.
	Matchers *string          `json:"matchers,omitempty"`
	Single   bool             `json:"single,omitempty"`
	Sets     []model.LabelSet `json:"sets,omitempty"`
	// Config: which receivers and groups do Sets belong to?
	Config string `json:"config,omitempty"`
	// Interval: which of Times (RFC 3339) does it contain?
	Interval json.RawMessage `json:"interval,omitempty"`
	Times    []time.Time     `json:"times,omitempty"`
	// Payload: what does the webhook integration post?
	Payload *payload `json:"payload,omitempty"`
}

type answer struct {
	Error       string        `json:"error,omitempty"`
	Fingerprint string        `json:"fingerprint,omitempty"`
	Text        string        `json:"text,omitempty"`
	Matchers    [][3]string   `json:"matchers,omitempty"`
	Holds       []bool        `json:"holds,omitempty"`
	Groups      [][]placement `json:"groups,omitempty"`
}

// placement is one group that an alert belongs to.
type placement struct {
	Receiver string         `json:"receiver"`
	Labels   model.LabelSet `json:"labels"`
	Key      string         `json:"key"`
}

func main() {
	compat.InitFromFlags(promslog.NewNopLogger(), featurecontrol.NoopFlags{})
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return
		}
		var asked question
		var given answer
		if err := json.Unmarshal(line, &asked); err != nil {
			given.Error = "question: " + err.Error()
		} else {
			given = reply(&asked)
		}
		text, err := json.Marshal(given)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = out.Write(append(text, '\n'))
		if in.Buffered() == 0 {
			_ = out.Flush()
		}
	}
}

func reply(asked *question) answer {
	switch {
	case asked.Matchers != nil:
		return replyMatchers(asked)
	case asked.Config != "":
		return replyConfig(asked)
	case asked.Interval != nil:
		return replyInterval(asked)
	case asked.Payload != nil:
		return replyPayload(asked.Payload)
	default:
		return answer{Fingerprint: asked.Labels.Fingerprint().String(), Text: asked.Labels.String()}
	}
}

func replyMatchers(asked *question) answer {
	var matchers labels.Matchers
	if asked.Single {
		one, err := compat.Matcher(*asked.Matchers, "oracle")
		if err != nil {
			return answer{Error: err.Error()}
		}
		matchers = labels.Matchers{one}
	} else {
		several, err := compat.Matchers(*asked.Matchers, "oracle")
		if err != nil {
			return answer{Error: err.Error()}
		}
		matchers = several
	}
	given := answer{Text: matchers.String()}
	for _, one := range matchers {
		given.Matchers = append(given.Matchers, [3]string{one.Name, one.Type.String(), one.Value})
	}
	for _, set := range asked.Sets {
		given.Holds = append(given.Holds, matchers.Matches(set))
	}
	return given
}

func replyConfig(asked *question) answer {
	loaded, err := config.Load(asked.Config)
	if err != nil {
		return answer{Error: err.Error()}
	}
	root := dispatch.NewRoute(loaded.Route, nil)
	given := answer{}
	for _, set := range asked.Sets {
		places := []placement{}
		for _, route := range root.Match(set) {
			group := model.LabelSet{}
			for name, value := range set {
				if _, by := route.RouteOpts.GroupBy[name]; by || route.RouteOpts.GroupByAll {
					group[name] = value
				}
			}
			key := fmt.Sprintf("%s:%s", route.Key(), group)
			places = append(places, placement{Receiver: route.RouteOpts.Receiver, Labels: group, Key: key})
		}
		given.Groups = append(given.Groups, places)
	}
	return given
}

func replyInterval(asked *question) answer {
	var interval timeinterval.TimeInterval
	if err := json.Unmarshal(asked.Interval, &interval); err != nil {
		return answer{Error: err.Error()}
	}
	given := answer{Holds: []bool{}}
	for _, at := range asked.Times {
		given.Holds = append(given.Holds, interval.ContainsTime(at))
	}
	return given
}
