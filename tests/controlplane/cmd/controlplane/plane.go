package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var (
	errEndedEarly  = errors.New("ended before it was ready")
	errInterrupted = errors.New("interrupted")
)

// plane is one etcd with one API server on it.
type plane struct {
	opts     options
	files    files
	etcdPort int
	peerPort int
	apiPort  int
	etcd     *process
	api      *process
	client   *http.Client
	started  time.Time
	within   time.Duration
}

type description struct {
	Event        string `json:"event"`
	Kubeconfig   string `json:"kubeconfig"`
	Server       string `json:"server"`
	Token        string `json:"token"`
	CA           string `json:"ca"`
	AuditLog     string `json:"auditLog"`
	Dir          string `json:"dir"`
	Bin          string `json:"bin"`
	EtcdPort     int    `json:"etcdPort"`
	APIPort      int    `json:"apiPort"`
	APIPid       int    `json:"apiPid"`
	EtcdPid      int    `json:"etcdPid"`
	ReadyAfterMS int64  `json:"readyAfterMs"`
}

type reply struct {
	Event string `json:"event"`
	Error string `json:"error,omitempty"`
}

func newPlane(opts options) (*plane, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	p := &plane{opts: opts, etcdPort: ports[0], peerPort: ports[1], apiPort: ports[2], started: time.Now()}
	if p.files, err = writeFiles(opts.dir, p.server()); err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(p.files.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	p.client = &http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	}
	return p, nil
}

func (p *plane) server() string  { return fmt.Sprintf("https://127.0.0.1:%d", p.apiPort) }
func (p *plane) etcdURL() string { return fmt.Sprintf("http://127.0.0.1:%d", p.etcdPort) }

func (p *plane) start(within time.Duration, signals <-chan os.Signal) error {
	p.within = within
	data := filepath.Join(p.opts.dir, "etcd")
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	var err error
	p.etcd, err = start(filepath.Join(p.opts.bin, "etcd"), filepath.Join(p.opts.dir, "etcd.log"), []string{
		"--data-dir", data, "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", p.etcdURL(), "--advertise-client-urls", p.etcdURL(),
		"--listen-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", p.peerPort),
		"--initial-advertise-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", p.peerPort),
		"--initial-cluster", fmt.Sprintf("default=http://127.0.0.1:%d", p.peerPort),
	})
	if err != nil {
		return err
	}
	healthy := func() bool { return p.get(p.etcdURL()+"/health") == http.StatusOK }
	if err := p.await("etcd", p.etcd, healthy, signals); err != nil {
		return err
	}
	return p.startAPI(signals)
}

func (p *plane) startAPI(signals <-chan os.Signal) error {
	f := p.files
	var err error
	p.api, err = start(filepath.Join(p.opts.bin, "kube-apiserver"), filepath.Join(p.opts.dir, "kube-apiserver.log"), []string{
		"--etcd-servers=" + p.etcdURL(),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", p.apiPort),
		// No default route is needed, and no endpoints of a Service.
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--tls-cert-file=" + f.serverCert, "--tls-private-key-file=" + f.serverKey,
		"--cert-dir=" + filepath.Join(p.opts.dir, "certs"),
		"--service-account-key-file=" + f.saPublic, "--service-account-signing-key-file=" + f.saPrivate,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--authorization-mode=RBAC", "--token-auth-file=" + f.tokens,
		// Its ServiceAccount plugin wants a controller that makes the default accounts.
		"--disable-admission-plugins=ServiceAccount",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--audit-policy-file=" + f.auditPolicy, "--audit-log-path=" + f.auditLog, "--audit-log-maxsize=0",
	})
	if err != nil {
		return err
	}
	ready := func() bool {
		return p.get(p.server()+"/readyz") == http.StatusOK &&
			p.get(p.server()+"/api/v1/namespaces/default") == http.StatusOK
	}
	return p.await("kube-apiserver", p.api, ready, signals)
}

func (p *plane) await(name string, child *process, ready func() bool, signals <-chan os.Signal) error {
	deadline := time.After(p.within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-child.done:
			child.gone = true
			return fmt.Errorf("%s %w (%v)\n%s", name, errEndedEarly, err, child.tail())
		case <-deadline:
			return fmt.Errorf("%s was not ready within %s\n%s", name, p.within, child.tail())
		case <-signals:
			return errInterrupted
		case <-tick.C:
			if ready() {
				return nil
			}
		}
	}
}

// get answers the status code, or 0 when there was no answer.
func (p *plane) get(url string) int {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+p.files.token)
	response, err := p.client.Do(request)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

func (p *plane) describe() description {
	return description{
		Event: "ready", Kubeconfig: p.files.kubeconfig, Server: p.server(), Token: p.files.token, CA: p.files.ca,
		AuditLog: p.files.auditLog, Dir: p.opts.dir, Bin: p.opts.bin, EtcdPort: p.etcdPort, APIPort: p.apiPort,
		APIPid: p.api.pid(), EtcdPid: p.etcd.pid(), ReadyAfterMS: time.Since(p.started).Milliseconds(),
	}
}

func (p *plane) obey(line string) any {
	switch command := strings.TrimSpace(line); command {
	case "pause":
		return outcome("paused", p.api.signal(syscall.SIGSTOP))
	case "continue":
		return outcome("continued", p.api.signal(syscall.SIGCONT))
	case "kill":
		p.api.kill()
		return outcome("killed", nil)
	case "restart":
		p.api.kill()
		if err := p.startAPI(nil); err != nil {
			return outcome("", err)
		}
		return p.describe()
	case "compact":
		return outcome("compacted", p.compact())
	default:
		return outcome("", fmt.Errorf("unknown command %q: use pause, continue, kill, restart or compact", command))
	}
}

func outcome(event string, err error) reply {
	if err != nil {
		return reply{Event: "error", Error: err.Error()}
	}
	return reply{Event: event}
}

// compact forgets every revision before the present one.
func (p *plane) compact() error {
	var head struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	if err := p.etcdCall("/v3/kv/range", map[string]any{"key": "AA==", "limit": "1", "keys_only": true}, &head); err != nil {
		return err
	}
	return p.etcdCall("/v3/kv/compaction", map[string]any{"revision": head.Header.Revision, "physical": true}, nil)
}

func (p *plane) etcdCall(path string, body any, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := p.client.Post(p.etcdURL()+path, "application/json", bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answered %d to %s: %s", response.StatusCode, path, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

func (p *plane) stop() {
	p.api.kill()
	p.etcd.kill()
}

// freePorts picks below the range that the kernel gives to port 0 and to
// outgoing connections, so that a port stays ours while its server restarts.
func freePorts(count int) ([]int, error) {
	var ports []int
	for attempt := 0; attempt < 1000 && len(ports) < count; attempt++ {
		port := 20000 + rand.IntN(10000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer listener.Close()
		ports = append(ports, port)
	}
	if len(ports) < count {
		return nil, errors.New("no free ports between 20000 and 29999 on 127.0.0.1")
	}
	return ports, nil
}
