package amtimelines

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"

	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
)

// timeline is one line of the input. Times are milliseconds since its start.
type timeline struct {
	// Config is an alertmanager.yml. What its receivers are is not looked at, but for send_resolved.
	Config string `json:"config"`
	Steps  []step `json:"steps"`
	// End is when the timeline ends.
	End int64 `json:"end"`
}

// step happens at one moment: alerts come in, a silence is set, a silence is expired.
type step struct {
	At      int64       `json:"at"`
	Alerts  []postAlert `json:"alerts,omitempty"`
	Silence *silencing  `json:"silence,omitempty"`
	Expire  string      `json:"expire,omitempty"`
}

type postAlert struct {
	Labels model.LabelSet `json:"labels"`
	// Starts and Ends: absent if the sender did not say.
	Starts *int64 `json:"starts,omitempty"`
	Ends   *int64 `json:"ends,omitempty"`
}

type silencing struct {
	Name     string `json:"name"`
	Matchers string `json:"matchers"`
	Starts   int64  `json:"starts"`
	Ends     int64  `json:"ends"`
}

// sent is one notification.
type sent struct {
	At       int64          `json:"at"`
	Receiver string         `json:"receiver"`
	Reason   string         `json:"reason"`
	Group    model.LabelSet `json:"group"`
	Key      string         `json:"key"`
	Firing   []string       `json:"firing"`
	Resolved []string       `json:"resolved"`
}

// TestPlay reads timelines from the file AMTIMELINES_IN, one JSON object a line, and writes what was sent in
// each to the file AMTIMELINES_OUT, one JSON array a line.
func TestPlay(t *testing.T) {
	in, out := os.Getenv("AMTIMELINES_IN"), os.Getenv("AMTIMELINES_OUT")
	if in == "" || out == "" {
		t.Skip("AMTIMELINES_IN and AMTIMELINES_OUT are not set")
	}
	compat.InitFromFlags(promslog.NewNopLogger(), featurecontrol.NoopFlags{})
	from, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(to)
	for lines.Scan() {
		var asked timeline
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			t.Fatal(err)
		}
		var got []sent
		synctest.Test(t, func(t *testing.T) { got = play(t, &asked) })
		if err := answers.Encode(got); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func play(t *testing.T, asked *timeline) []sent {
	start := time.Now()
	am := newAlertmanager(t, asked.Config, start)
	defer am.stop()
	synctest.Wait()
	for _, step := range asked.Steps {
		time.Sleep(time.Until(start.Add(time.Duration(step.At) * time.Millisecond)))
		am.take(t, &step)
		synctest.Wait()
	}
	time.Sleep(time.Until(start.Add(time.Duration(asked.End) * time.Millisecond)))
	synctest.Wait()
	return am.sent()
}
