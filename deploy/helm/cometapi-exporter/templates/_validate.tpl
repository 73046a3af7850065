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

{{/* Fail with every combination of values that could be installed but not work. The schema checks each value alone. */}}
{{- define "cometapi-exporter.validate" -}}
{{- $problems := list }}
{{- if and .Values.demo .Values.accounts }}
{{- $problems = append $problems "demo=true serves a simulated account: remove accounts, or set demo=false" }}
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
{{- with .Values.serviceMonitor }}
{{- if and .enabled $.Values.webConfig.tls (not .tlsConfig) }}
{{- $problems = append $problems "serviceMonitor.tlsConfig is required with webConfig.tls, for example with ca and serverName" }}
{{- end }}
{{- if gt (include "cometapi-exporter.milliseconds" .scrapeTimeout | int64) (include "cometapi-exporter.milliseconds" .interval | int64) }}
{{- $problems = append $problems (printf "serviceMonitor.scrapeTimeout (%s) is longer than serviceMonitor.interval (%s)" .scrapeTimeout .interval) }}
{{- end }}
{{- end }}
{{- range $label := keys (include "cometapi-exporter.selectorLabels" . | fromYaml) | sortAlpha }}
{{- if hasKey $.Values.podLabels $label }}
{{- $problems = append $problems (printf "podLabels: %s selects the pods, use nameOverride instead" $label) }}
{{- end }}
{{- end }}
{{- $reserved := dict "COMETAPI_EXPORTER_CONFIG_FILE" "accounts" "COMETAPI_EXPORTER_AUTO_RELOAD_INTERVAL" "accounts" "COMETAPI_EXPORTER_LOG_LEVEL" "log.level" "COMETAPI_EXPORTER_LOG_FORMAT" "log.format" "COMETAPI_EXPORTER_WEB_CONFIG_FILE" "webConfig" "COMETAPI_EXPORTER_LISTEN_ADDRESS" "service.port" "COMETAPI_EXPORTER_PROBE_LISTEN_ADDRESS" "webConfig" "COMETAPI_EXPORTER_SHARDS_TOTAL" "shards" "COMETAPI_EXPORTER_SHARDS_INDEX" "shards" }}
{{- range $index, $variable := .Values.extraEnv }}
{{- with get $reserved $variable.name }}
{{- $problems = append $problems (printf "extraEnv[%d]: %s is set by the chart, use %s instead" $index $variable.name .) }}
{{- end }}
{{- end }}
{{- range $index, $volume := .Values.extraVolumes }}
{{- if has $volume.name (list "config" "tokens" "web") }}
{{- $problems = append $problems (printf "extraVolumes[%d].name: %q is a volume of the chart" $index $volume.name) }}
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
