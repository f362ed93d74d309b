package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amcommoncfg "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/alertmanager/template"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
)

// payload is one notification.
type payload struct {
	Receiver string         `json:"receiver"`
	Group    model.LabelSet `json:"group"`
	Key      string         `json:"key"`
	External string         `json:"external"`
	Reason   string         `json:"reason"`
	Alerts   []member       `json:"alerts"`
}

// member of a notification. Ends: absent while it fires.
type member struct {
	Labels      model.LabelSet `json:"labels"`
	Annotations model.LabelSet `json:"annotations"`
	Starts      time.Time      `json:"starts"`
	Ends        *time.Time     `json:"ends,omitempty"`
	Generator   string         `json:"generator"`
}

// poster is a webhook integration, and what it posted last.
type poster struct {
	template *template.Template
	notifier *webhook.Notifier
	posted   []byte
}

var posting *poster

func newPoster() (*poster, error) {
	made := &poster{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		made.posted, _ = io.ReadAll(r.Body)
	}))
	var err error
	if made.template, err = template.FromGlobs(nil); err != nil {
		return nil, err
	}
	conf := &webhook.WebhookConfig{
		URL:        amcommoncfg.SecretTemplateURL(server.URL),
		HTTPConfig: &commoncfg.HTTPClientConfig{},
	}
	made.notifier, err = webhook.New(conf, made.template, promslog.NewNopLogger())
	return made, err
}

// replyPayload does what a flush does: members that fire have no end, and they are put in order.
func replyPayload(asked *payload) answer {
	var err error
	if posting == nil {
		if posting, err = newPoster(); err != nil {
			return answer{Error: err.Error()}
		}
	}
	if posting.template.ExternalURL, err = url.Parse(asked.External); err != nil {
		return answer{Error: "question: " + err.Error()}
	}
	members := alert.AlertSlice{}
	for _, one := range asked.Alerts {
		made := &alert.Alert{}
		made.Labels, made.Annotations = one.Labels, one.Annotations
		made.StartsAt, made.GeneratorURL = one.Starts, one.Generator
		if one.Ends != nil {
			made.EndsAt = *one.Ends
		}
		members = append(members, made)
	}
	sort.Stable(members)
	reason := notify.ReasonDoNotNotify
	for reason.String() != asked.Reason && reason < notify.ReasonUnknown {
		reason++
	}
	ctx := notify.WithReceiverName(context.Background(), asked.Receiver)
	ctx = notify.WithGroupKey(ctx, asked.Key)
	ctx = notify.WithGroupLabels(ctx, asked.Group)
	ctx = notify.WithNotificationReason(ctx, reason)
	posting.posted = nil
	if _, err := posting.notifier.Notify(ctx, members...); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Text: string(posting.posted)}
}
