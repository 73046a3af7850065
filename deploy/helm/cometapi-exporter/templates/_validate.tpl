{{/* Milliseconds of a duration such as 1h30m. */}}
{{- define "cometapi-exporter.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+(ms|[smhdwy])" . -1 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $sum = add $sum (mul (trimSuffix $unit . | int64) (index $units $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* The durations among the values, by the names of the values. */}}
{{- define "cometapi-exporter.durations" -}}
{{- $durations := dict }}
{{- $sections := dict "collect" .Values.collect "serviceMonitor" .Values.serviceMonitor "podMonitor" .Values.podMonitor }}
{{- $thresholds := dict "thresholds" .Values.thresholds }}
{{- range $index, $account := .Values.accounts }}
{{- $_ := set $sections (printf "accounts[%d].collect" $index) $account.collect }}
{{- $_ := set $thresholds (printf "accounts[%d].thresholds" $index) $account.thresholds }}
{{- end }}
{{- range $name, $section := $sections }}
{{- range $field := list "interval" "timeout" "stale_after" "scrapeTimeout" }}
{{- if hasKey (default dict $section) $field }}
{{- $_ := set $durations (printf "%s.%s" $name $field) (get $section $field) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $list := $thresholds }}
{{- range $index, $threshold := $list }}
{{- if hasKey $threshold "expiry_warning" }}
{{- $_ := set $durations (printf "%s[%d].expiry_warning" $name $index) $threshold.expiry_warning }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $durations }}
{{- end }}

{{/* Why extraEnv, extraArgs and extraPodSpec may not set what the chart sets. */}}
{{- define "cometapi-exporter.reserved" -}}
variables:
  COMETAPI_EXPORTER_CONFIG_FILE: use accounts instead
  COMETAPI_EXPORTER_AUTO_RELOAD_INTERVAL: use accounts instead
  COMETAPI_EXPORTER_LOG_LEVEL: use log.level instead
  COMETAPI_EXPORTER_LOG_FORMAT: use log.format instead
  COMETAPI_EXPORTER_WEB_CONFIG_FILE: use webConfig instead
  COMETAPI_EXPORTER_LISTEN_ADDRESS: use service.port instead
  COMETAPI_EXPORTER_PROBE_LISTEN_ADDRESS: use webConfig instead
  COMETAPI_EXPORTER_SHARDS_TOTAL: use shards instead
  COMETAPI_EXPORTER_SHARDS_INDEX: use shards instead
  COMETAPI_EXPORTER_MAX_REQUESTS_PER_MINUTE: "use collect.max_requests_per_minute instead, which the pods share"
  COMETAPI_EXPORTER_TELEMETRY_PATH: the monitors scrape /metrics
flags:
  --demo: use demo instead
  --config.file: use accounts instead
  --config.auto-reload-interval: use accounts instead
  --log.level: use log.level instead
  --log.format: use log.format instead
  --web.config.file: use webConfig instead
  --web.listen-address: use service.port instead
  --probe.listen-address: use webConfig instead
  --shards.total: use shards instead
  --shards.index: use shards instead
  --collect.max-requests-per-minute: "use collect.max_requests_per_minute instead, which the pods share"
  --web.telemetry-path: the monitors scrape /metrics
  --config.check: the exporter would exit
  --check: the exporter would exit
  --once: the exporter would exit
  --version: the exporter would exit
  --help: the exporter would exit
podFields:
  automountServiceAccountToken: ": the exporter never calls the Kubernetes API"
  enableServiceLinks: ": variables of Services could look like settings"
  terminationGracePeriodSeconds: ": the exporter exits within ten seconds"
  serviceAccountName: ", use serviceAccount.name instead"
  securityContext: ", use podSecurityContext instead"
  containers: ", use extraContainers instead"
  initContainers: ", use extraInitContainers instead"
  volumes: ", use extraVolumes instead"
  {{- range list "imagePullSecrets" "priorityClassName" "hostAliases" "dnsPolicy" "dnsConfig" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
  {{ . }}: ", use the value {{ . }} instead"
  {{- end }}
{{- end }}

{{/* The fields that the chart sets in monitors, by the value that may set others. */}}
{{- define "cometapi-exporter.fieldsOfMonitors" -}}
extraEndpoint: [port, path, interval, scrapeTimeout, scheme, honorLabels, tlsConfig, basicAuth, relabelings, metricRelabelings]
extraSpec: [jobLabel, selector, namespaceSelector, sampleLimit, endpoints, podMetricsEndpoints]
{{- end }}

{{/* Fail with every combination of values that could be installed but not work. The schema checks each value alone. */}}
{{- define "cometapi-exporter.validate" -}}
{{- $problems := list }}
{{- range $name, $duration := include "cometapi-exporter.durations" . | fromYaml }}
{{- $isDuration := regexMatch "^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$" $duration }}
{{- if or (not $duration) (not $isDuration) }}
{{- $problems = append $problems (printf "%s: %q is not a duration such as 90s, 15m or 1h30m, with the larger unit first" $name $duration) }}
{{- end }}
{{- end }}
{{- if and .Values.nameOverride (not (contains "cometapi" .Values.nameOverride)) }}
{{- $problems = append $problems (printf "nameOverride: %q does not contain cometapi; it becomes the name of the job, and the alert for an exporter that is down looks for that" .Values.nameOverride) }}
{{- end }}
{{- if and .Values.demo .Values.accounts }}
{{- $problems = append $problems "demo=true serves simulated accounts: remove accounts, or set demo=false" }}
{{- else if not (or .Values.demo .Values.accounts) }}
{{- $problems = append $problems "no account: set accounts[0].name and accounts[0].existingSecret, or demo=true" }}
{{- end }}
{{- $names := dict }}
{{- range $index, $account := .Values.accounts }}
{{- if hasKey $names $account.name }}
{{- $problems = append $problems (printf "accounts[%d].name: %q is the name of another account" $index $account.name) }}
{{- end }}
{{- $_ := set $names $account.name true }}
{{- if and (hasPrefix "http://" (default "" $account.baseUrl)) (not $account.allowInsecureHttp) }}
{{- $problems = append $problems (printf "accounts[%d].baseUrl: http:// sends the token in the clear: use https://, or set allowInsecureHttp" $index) }}
{{- end }}
{{- end }}
{{- if and .Values.webConfig.tls (not .Values.webConfig.existingSecret) }}
{{- $problems = append $problems "webConfig.tls requires webConfig.existingSecret" }}
{{- end }}
{{- if gt (int .Values.shards) 1 }}
{{- if .Values.demo }}
{{- $problems = append $problems "shards: the demo has a single account, which cannot be divided" }}
{{- end }}
{{- if ne (int .Values.replicaCount) 1 }}
{{- $problems = append $problems "replicaCount: each shard is a single pod, set replicaCount to 1" }}
{{- end }}
{{- if semverCompare "<1.28.0-0" .Capabilities.KubeVersion.Version }}
{{- $problems = append $problems (printf "shards: Kubernetes 1.28 or newer is required, this is %s" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- end }}
{{- if gt (include "cometapi-exporter.pods" . | int) (include "cometapi-exporter.requests" . | int) }}
{{- $problems = append $problems (printf "collect.max_requests_per_minute (%s) is less than one for each of %s pods" (include "cometapi-exporter.requests" .) (include "cometapi-exporter.pods" .)) }}
{{- end }}
{{- if and (.Values.serviceMonitor).enabled (.Values.podMonitor).enabled }}
{{- $problems = append $problems "podMonitor.enabled: with serviceMonitor.enabled Prometheus would scrape each pod twice, set one of the two" }}
{{- end }}
{{- range $name := list "serviceMonitor" "podMonitor" }}
{{- with get $.Values $name }}
{{- if and .enabled $.Values.webConfig.tls (not .tlsConfig) }}
{{- $problems = append $problems (printf "%s.tlsConfig is required with webConfig.tls, for example with ca and serverName" $name) }}
{{- end }}
{{- if gt (include "cometapi-exporter.milliseconds" .scrapeTimeout | int64) (include "cometapi-exporter.milliseconds" .interval | int64) }}
{{- $problems = append $problems (printf "%s.scrapeTimeout (%s) is longer than %s.interval (%s)" $name .scrapeTimeout $name .interval) }}
{{- end }}
{{- $ours := include "cometapi-exporter.fieldsOfMonitors" $ | fromYaml }}
{{- range $section, $fields := $ours }}
{{- range $field := keys (default dict (get (get $.Values $name) $section)) | sortAlpha }}
{{- if has $field $fields }}
{{- $problems = append $problems (printf "%s.%s.%s is set by the chart" $name $section $field) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $label := keys (include "cometapi-exporter.selectorLabels" . | fromYaml) | sortAlpha }}
{{- range $name := list "podLabels" "commonLabels" }}
{{- if hasKey (default dict (get $.Values $name)) $label }}
{{- $problems = append $problems (printf "%s: %s selects the pods, use nameOverride instead" $name $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- $reserved := include "cometapi-exporter.reserved" . | fromYaml }}
{{- range $index, $variable := .Values.extraEnv }}
{{- if and (eq $variable.name "COMETAPI_ACCESS_TOKEN") $variable.value }}
{{- $problems = append $problems (printf "extraEnv[%d]: the token would be in the clear, create a Secret and name it in accounts[].existingSecret" $index) }}
{{- end }}
{{- with get $reserved.variables $variable.name }}
{{- $problems = append $problems (printf "extraEnv[%d]: %s cannot be set here, %s" $index $variable.name .) }}
{{- end }}
{{- end }}
{{- range $index, $argument := .Values.extraArgs }}
{{- $flag := splitList "=" $argument | first }}
{{- with get $reserved.flags $flag }}
{{- $problems = append $problems (printf "extraArgs[%d]: %s cannot be set here, %s" $index $flag .) }}
{{- end }}
{{- end }}
{{- range $field := keys (default dict .Values.extraPodSpec) | sortAlpha }}
{{- with get $reserved.podFields $field }}
{{- $problems = append $problems (printf "extraPodSpec.%s is set by the chart%s" $field .) }}
{{- end }}
{{- end }}
{{- if eq (toString .Values.enabled) "false" }}
{{- $problems = append $problems "enabled: it is only for the condition of a chart that depends on this one" }}
{{- end }}
{{- range $index, $volume := .Values.extraVolumes }}
{{- if has $volume.name (list "config" "tokens" "web") }}
{{- $problems = append $problems (printf "extraVolumes[%d].name: %q is a volume of the chart" $index $volume.name) }}
{{- end }}
{{- end }}
{{- range $name := list "extraContainers" "extraInitContainers" }}
{{- range $index, $container := default list (get $.Values $name) }}
{{- if eq $container.name "exporter" }}
{{- $problems = append $problems (printf "%s[%d].name: \"exporter\" is a container of the chart" $name $index) }}
{{- end }}
{{- end }}
{{- end }}
{{- $fullname := include "cometapi-exporter.fullname" . }}
{{- if not (regexMatch "^[a-z]" $fullname) }}
{{- $problems = append $problems (printf "the release name gives the Service the name %q, which must start with a letter: set fullnameOverride" $fullname) }}
{{- end }}
{{- if $problems }}
{{- fail (printf "invalid values:\n- %s" (join "\n- " $problems)) }}
{{- end }}
{{- end }}
