package amtimelines

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"github.com/prometheus/alertmanager/timeinterval"
)

const (
	retention = 120 * time.Hour
	// What Alertmanager's flags have as their defaults.
	gcInterval          = 30 * time.Minute
	maintenanceInterval = 30 * time.Second
)

// alertmanager is put together as in its own app package, without HTTP, files and peers.
type alertmanager struct {
	start          time.Time
	resolveTimeout time.Duration
	alerts         *mem.Alerts
	silences       *silence.Silences
	ids            map[string]string
	inhibitor      *inhibit.Inhibitor
	dispatcher     *dispatch.Dispatcher

	mtx  sync.Mutex
	told []sent
}

// recorder is an integration that notes what it is given.
type recorder struct {
	am       *alertmanager
	receiver string
}

type sendResolved bool

func (s sendResolved) SendResolved() bool { return bool(s) }

func newAlertmanager(t *testing.T, text string, start time.Time) *alertmanager {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	conf, err := config.Load(text)
	must(err)
	logger, metrics, flags := promslog.NewNopLogger(), prometheus.NewRegistry(), featurecontrol.NoopFlags{}
	var events eventrecorder.Recorder
	am := &alertmanager{start: start, resolveTimeout: time.Duration(conf.Global.ResolveTimeout), ids: map[string]string{}}
	log, err := nflog.New(nflog.Options{Retention: retention, Logger: logger, Metrics: metrics})
	must(err)
	am.silences, err = silence.New(silence.Options{Retention: retention, Logger: logger, Metrics: metrics})
	must(err)
	silencer := silence.NewSilencer(am.silences, logger, events)
	am.alerts, err = mem.NewAlerts(context.Background(), gcInterval, 0, silencer, logger, events, metrics, flags)
	must(err)

	receivers := map[string][]notify.Integration{}
	for _, receiver := range conf.Receivers {
		resolved := len(receiver.WebhookConfigs) == 0 || receiver.WebhookConfigs[0].SendResolved()
		one := notify.NewIntegration(&recorder{am, receiver.Name}, sendResolved(resolved), "webhook", 0, receiver.Name)
		receivers[receiver.Name] = []notify.Integration{one}
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, named := range conf.TimeIntervals {
		intervals[named.Name] = named.TimeIntervals
	}
	am.inhibitor = inhibit.NewInhibitor(am.alerts, conf.InhibitRules, logger, events)
	groups := marker.NewGroupMarker()
	pipeline := notify.NewPipelineBuilder(metrics, flags, events).New(
		receivers, func() time.Duration { return 0 }, am.inhibitor, silencer,
		timeinterval.NewIntervener(intervals), groups, log, nil)
	timeout := func(interval time.Duration) time.Duration { return max(interval, notify.MinTimeout) }
	am.dispatcher = dispatch.NewDispatcher(am.alerts, dispatch.NewRoute(conf.Route, nil), pipeline, groups, timeout,
		maintenanceInterval, nil, logger, events, nil, nil)
	go am.inhibitor.Run()
	am.inhibitor.WaitForLoading()
	go am.dispatcher.Run(start)
	am.dispatcher.WaitForLoading()
	return am
}

func (am *alertmanager) stop() {
	am.inhibitor.Stop()
	am.dispatcher.Stop()
	am.alerts.Close()
}

func (am *alertmanager) at(ms int64) time.Time {
	return am.start.Add(time.Duration(ms) * time.Millisecond)
}

// take does what the handlers of the API do.
func (am *alertmanager) take(t *testing.T, step *step) {
	now := time.Now()
	var posted []*alert.Alert
	for _, one := range step.Alerts {
		taken := &alert.Alert{UpdatedAt: now}
		taken.Labels = one.Labels
		if one.Starts != nil {
			taken.StartsAt = am.at(*one.Starts)
		}
		if one.Ends != nil {
			taken.EndsAt = am.at(*one.Ends)
		}
		if taken.StartsAt.IsZero() {
			taken.StartsAt = now
			if !taken.EndsAt.IsZero() {
				taken.StartsAt = taken.EndsAt
			}
		}
		if taken.EndsAt.IsZero() {
			taken.Timeout = true
			taken.EndsAt = now.Add(am.resolveTimeout)
		}
		if err := taken.Validate(); err == nil {
			posted = append(posted, taken)
		}
	}
	if len(posted) > 0 {
		if err := am.alerts.Put(context.Background(), posted...); err != nil {
			t.Fatal(err)
		}
	}
	if step.Silence != nil {
		am.silence(t, step.Silence)
	}
	if step.Expire != "" {
		if err := am.silences.Expire(context.Background(), am.ids[step.Expire]); err != nil {
			t.Fatal(err)
		}
	}
}

func (am *alertmanager) silence(t *testing.T, asked *silencing) {
	matchers, err := compat.Matchers(asked.Matchers, "timeline")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[labels.MatchType]silencepb.Matcher_Type{
		labels.MatchEqual: silencepb.Matcher_EQUAL, labels.MatchNotEqual: silencepb.Matcher_NOT_EQUAL,
		labels.MatchRegexp: silencepb.Matcher_REGEXP, labels.MatchNotRegexp: silencepb.Matcher_NOT_REGEXP,
	}
	set := &silencepb.MatcherSet{}
	for _, one := range matchers {
		set.Matchers = append(set.Matchers, &silencepb.Matcher{Type: kinds[one.Type], Name: one.Name, Pattern: one.Value})
	}
	made := &silencepb.Silence{
		// Empty for a name that was not used before: a new silence.
		Id:          am.ids[asked.Name],
		MatcherSets: []*silencepb.MatcherSet{set},
		StartsAt:    timestamppb.New(am.at(asked.Starts)),
		EndsAt:      timestamppb.New(am.at(asked.Ends)),
		CreatedBy:   "timeline",
		Comment:     "timeline",
	}
	if err := am.silences.Set(context.Background(), made); err != nil {
		t.Fatal(err)
	}
	am.ids[asked.Name] = made.Id
}

func (am *alertmanager) sent() []sent {
	am.mtx.Lock()
	defer am.mtx.Unlock()
	return append([]sent{}, am.told...)
}

func (r *recorder) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	reason, _ := notify.NotificationReason(ctx)
	group, _ := notify.GroupLabels(ctx)
	key, _ := notify.GroupKey(ctx)
	one := sent{
		At: time.Since(r.am.start).Milliseconds(), Receiver: r.receiver, Reason: reason.String(),
		Group: group, Key: key, Firing: []string{}, Resolved: []string{},
	}
	for _, member := range alerts {
		name := member.Fingerprint().String()
		if member.Resolved() {
			one.Resolved = append(one.Resolved, name)
		} else {
			one.Firing = append(one.Firing, name)
		}
	}
	slices.Sort(one.Firing)
	slices.Sort(one.Resolved)
	r.am.mtx.Lock()
	defer r.am.mtx.Unlock()
	r.am.told = append(r.am.told, one)
	return false, nil
}
