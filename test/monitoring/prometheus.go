package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	readyWithin = time.Minute
	readyPoll   = 100 * time.Millisecond
)

// Prometheus is a running process.
type Prometheus struct {
	url  string
	log  string
	stop func()
	done chan struct{}
}

// Start runs the binary with the configuration, on a loopback address, and waits until it is ready. Its files are in dir.
func Start(ctx context.Context, binary, dir string, config []byte) (*Prometheus, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration of Prometheus: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "prometheus.log"))
	if err != nil {
		return nil, fmt.Errorf("creating the log of Prometheus: %w", err)
	}
	defer func() { _ = log.Close() }()
	running, stop := context.WithCancel(ctx)
	command := exec.CommandContext(running, binary,
		"--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=info")
	command.Stdout, command.Stderr, command.Dir = log, log, dir
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // Not to outlive a test that is killed.
	if err := command.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("starting Prometheus: %w", err)
	}
	p := &Prometheus{url: "http://" + address, log: log.Name(), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = command.Wait() // Stop kills it.
	}()
	if err := p.waitReady(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// Stop ends the process.
func (p *Prometheus) Stop() {
	p.stop()
	<-p.done
}

// URL is where Prometheus listens.
func (p *Prometheus) URL() string { return p.url }

// Query returns the values of a query now. Those that are not a number are left out.
func (p *Prometheus) Query(ctx context.Context, query string) ([]float64, error) {
	var data struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := p.get(ctx, "/api/v1/query?query="+url.QueryEscape(query), &data); err != nil {
		return nil, err
	}
	if data.ResultType != "vector" {
		return nil, fmt.Errorf("the result of %s is a %s, want a vector", query, data.ResultType)
	}
	var samples []struct {
		Value [2]any `json:"value"`
	}
	if err := json.Unmarshal(data.Result, &samples); err != nil {
		return nil, fmt.Errorf("decoding the result of %s: %w", query, err)
	}
	var values []float64
	for _, sample := range samples {
		text, _ := sample.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("decoding the result of %s: %w", query, err)
		}
		if !math.IsNaN(value) {
			values = append(values, value)
		}
	}
	return values, nil
}

// RuleState is what has become of an alert.
type RuleState struct {
	Name      string `json:"name"`
	State     string `json:"state"`
	Health    string `json:"health"`
	LastError string `json:"lastError"`
	// Labels are those of the rule, such as its severity.
	Labels map[string]string `json:"labels"`
	// Alerts are those that fire, or will when the time of the rule's for is over.
	Alerts []struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"alerts"`
}

// Rules returns the state of every alert that is loaded. Health is ok once one was evaluated without an error.
func (p *Prometheus) Rules(ctx context.Context) ([]RuleState, error) {
	var data struct {
		Groups []struct {
			Rules []RuleState `json:"rules"`
		} `json:"groups"`
	}
	if err := p.get(ctx, "/api/v1/rules", &data); err != nil {
		return nil, err
	}
	var rules []RuleState
	for _, group := range data.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}

// TargetState is what has become of scraping a process.
type TargetState struct {
	ScrapeURL string            `json:"scrapeUrl"`
	Health    string            `json:"health"`
	LastError string            `json:"lastError"`
	Labels    map[string]string `json:"labels"`
}

// Targets returns the state of every process that is scraped. Health is up once one was.
func (p *Prometheus) Targets(ctx context.Context) ([]TargetState, error) {
	var data struct {
		ActiveTargets []TargetState `json:"activeTargets"`
	}
	err := p.get(ctx, "/api/v1/targets", &data)
	return data.ActiveTargets, err
}

func (p *Prometheus) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/-/ready", nil)
		if err != nil {
			return fmt.Errorf("asking Prometheus: %w", err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for Prometheus, see %s: %w", p.log, ctx.Err())
		case <-p.done:
			return fmt.Errorf("Prometheus has ended, see %s", p.log)
		case <-time.After(readyPoll):
		}
	}
}

func (p *Prometheus) get(ctx context.Context, path string, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the answer of Prometheus: %w", err)
	}
	answer := struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}{}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("decoding the answer of Prometheus: %w", err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("asking Prometheus: %s", answer.Error)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return fmt.Errorf("decoding the answer of Prometheus: %w", err)
	}
	return nil
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress() (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}
