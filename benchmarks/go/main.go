// Command bench serves the benchmark's key set with Go's client library: a collector that makes constant metrics
// again at each scrape, as exporters written in Go do. It ends with its standard input.
//
//	bench PAGES_FILE ADDRESS
//
// PAGES_FILE holds one page of the gateway's list a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type key struct {
	ID               int64  `json:"id"`
	Name             string `json:"name"`
	Group            string `json:"group"`
	Status           int    `json:"status"`
	CreatedTime      int64  `json:"created_time"`
	AccessedTime     int64  `json:"accessed_time"`
	ExpiredTime      int64  `json:"expired_time"`
	RemainQuota      int64  `json:"remain_quota"`
	UsedQuota        int64  `json:"used_quota"`
	UnlimitedQuota   bool   `json:"unlimited_quota"`
	ModelLimits      bool   `json:"model_limits_enabled"`
	AllowIPs         string `json:"allow_ips"`
	CrossGroupRetry  bool   `json:"cross_group_retry"`
	labels           []string
	restrictedLabels []string
}

var keyLabels = []string{"account", "key_id", "key_name", "group"}

func perKey(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("cometapi_key_"+name, help, keyLabels, nil)
}

func perAccount(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc("cometapi_"+name, help, append([]string{"account"}, more...), nil)
}

var (
	remaining = perKey("remaining_quota", "Quota units the key has left; can be negative.")
	used      = perKey("used_quota", "Quota units the key has spent; can fall, after a refund.")
	unlimited = perKey("unlimited_quota", "1 where the gateway skips the quota check for the key, else 0.")
	expiresIn = perKey("expires_in_seconds", "Seconds until the key expires, at the time of the scrape; negative after it.")
	expiry    = perKey("expiry_timestamp_seconds", "Unix time at which the key expires.")
	status    = perKey("status", "The API's status code: 1 enabled, 2 disabled, 3 expired, 4 exhausted.")
	usable    = perKey("usable", "1 where the key would serve a request now, else 0.")
	created   = perKey("created_timestamp_seconds", "Unix time at which the key was made.")
	lastUsed  = perKey("last_used_timestamp_seconds", "Unix time at which the key was last used.")
	info      = prometheus.NewDesc("cometapi_key_info", "1, with what restricts the key.",
		append(append([]string{}, keyLabels...), "model_limits", "ip_allowlist", "cross_group_retry"), nil)
	keys         = perAccount("keys", "How many keys have this status.", "group", "status")
	keysUsable   = perAccount("keys_usable", "Number of keys that can currently serve requests.", "group")
	keysUnusable = perAccount("keys_unusable", "Number of keys that cannot serve requests, by reason.", "group", "reason")
	requests     = perAccount("account_requests_total", "Requests to models as counted by the API.")
	accounts     = map[*prometheus.Desc]float64{
		perAccount("account_remaining_quota", "Quota units the account has left."):                      24997909,
		perAccount("account_used_quota", "Quota units the account has spent."):                          10027091,
		perAccount("account_spendable_quota", "Quota units that the account can still spend."):          24997909,
		perAccount("quota_units_per_usd", "How many quota units are one US dollar."):                    500000,
		perAccount("up", "Whether the last refresh of the account succeeded."):                          1,
		perAccount("exporter_last_success_timestamp_seconds", "When the served data was read."):         float64(time.Now().Unix()),
		perAccount("exporter_refresh_interval_seconds", "Seconds between the starts of two refreshes."): 60,
		perAccount("exporter_skipped_keys", "Keys of the last listing that were left out."):             0,
	}
)

type collector struct{ keys []key }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{remaining, used, unlimited, expiresIn, expiry, status, usable, created, lastUsed,
		info, keys, keysUsable, keysUnusable, requests} {
		ch <- desc
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	now := float64(time.Now().UnixNano()) / 1e9
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counts, unusables, usables := map[[2]string]float64{}, map[[2]string]float64{}, map[string]float64{}
	for i := range c.keys {
		k := &c.keys[i]
		if !k.UnlimitedQuota {
			gauge(remaining, float64(k.RemainQuota), k.labels...)
		}
		gauge(used, float64(k.UsedQuota), k.labels...)
		gauge(unlimited, one(k.UnlimitedQuota), k.labels...)
		hasExpired := false
		if k.ExpiredTime != -1 {
			left := float64(k.ExpiredTime) - now
			hasExpired = left <= 0
			gauge(expiresIn, left, k.labels...)
			gauge(expiry, float64(k.ExpiredTime), k.labels...)
		}
		reason := obstacles[k.Status]
		if reason == "" && hasExpired {
			reason = "expired"
		} else if reason == "" && !k.UnlimitedQuota && k.RemainQuota <= 0 {
			reason = "exhausted"
		}
		isUsable := reason == ""
		gauge(status, float64(k.Status), k.labels...)
		gauge(usable, one(isUsable), k.labels...)
		gauge(created, float64(k.CreatedTime), k.labels...)
		if k.AccessedTime != 0 {
			gauge(lastUsed, float64(k.AccessedTime), k.labels...)
		}
		gauge(info, 1, k.restrictedLabels...)
		counts[[2]string{k.Group, statuses[k.Status]}]++
		usables[k.Group] += one(isUsable)
		unusables[[2]string{k.Group, reason}]++
	}
	for group, count := range usables {
		gauge(keysUsable, count, "default", group)
		for _, word := range statuses {
			gauge(keys, counts[[2]string{group, word}], "default", group, word)
		}
		for _, reason := range reasons {
			gauge(keysUnusable, unusables[[2]string{group, reason}], "default", group, reason)
		}
	}
	ch <- prometheus.MustNewConstMetric(requests, prometheus.CounterValue, 339, "default")
	for desc, value := range accounts {
		gauge(desc, value, "default")
	}
}

var (
	statuses  = []string{"unknown", "enabled", "disabled", "expired", "exhausted"}
	obstacles = []string{"unknown_status", "", "disabled", "expired", "exhausted"}
	reasons   = []string{"disabled", "expired", "exhausted", "unknown_status", "account_exhausted", "group_unavailable"}
)

func one(fact bool) float64 {
	if fact {
		return 1
	}
	return 0
}

func read(path string) ([]key, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []key
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var page struct {
			Data struct {
				Items []key `json:"items"`
			} `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data.Items...)
	}
	for i := range all {
		k := &all[i]
		k.labels = []string{"default", strconv.FormatInt(k.ID, 10), k.Name, k.Group}
		k.restrictedLabels = append(append([]string{}, k.labels...), strconv.FormatBool(k.ModelLimits),
			strconv.FormatBool(k.AllowIPs != ""), strconv.FormatBool(k.CrossGroupRetry))
	}
	return all, lines.Err()
}

func main() {
	all, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{keys: all}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[2], nil))
}
