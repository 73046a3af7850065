{{- define "cometapi-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "cometapi-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else }}
{{- $name := include "cometapi-exporter.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cometapi-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "cometapi-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "cometapi-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cometapi-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cometapi-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "cometapi-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The chart's labels, commonLabels and those of one resource: (list . labels). The later ones take precedence. */}}
{{- define "cometapi-exporter.labelsWith" -}}
{{- $common := default dict (first .).Values.commonLabels }}
{{- mergeOverwrite (include "cometapi-exporter.labels" (first .) | fromYaml) $common (default dict (last .)) | toYaml }}
{{- end }}

{{/* The metadata of a resource: (dict "root" .), and where they differ "name", "namespace", "labels", "annotations". */}}
{{- define "cometapi-exporter.metadata" -}}
name: {{ default (include "cometapi-exporter.fullname" .root) .name }}
namespace: {{ default .root.Release.Namespace .namespace }}
labels:
  {{- include "cometapi-exporter.labelsWith" (list .root .labels) | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Values that `helm upgrade --reuse-values` lacks after an upgrade from a chart without them, and without which the pod
would not work. A test compares them with values.yaml.
*/}}
{{- define "cometapi-exporter.addedValues" -}}
podSecurityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
livenessProbe:
  enabled: true
  periodSeconds: 30
  timeoutSeconds: 5
readinessProbe:
  enabled: true
  periodSeconds: 5
  timeoutSeconds: 5
startupProbe:
  enabled: false
{{- end }}

{{/*
The fields of one of the values above that are not null: (list . "podSecurityContext"). With openshift, without the user
and groups of the image. (A null in the values.yaml of a chart that depends on this one does not arrive here.)
*/}}
{{- define "cometapi-exporter.fields" -}}
{{- $values := (first .).Values }}
{{- $name := last . }}
{{- $section := get (include "cometapi-exporter.addedValues" (first .) | fromYaml) $name }}
{{- if kindIs "map" (get $values $name) }}
{{- $section = get $values $name }}
{{- end }}
{{- $fields := dict }}
{{- range $field, $value := $section }}
{{- $isOfImage := and (has $field (list "runAsUser" "runAsGroup" "fsGroup")) (eq (toString $value) "65532") }}
{{- if not (or (kindIs "invalid" $value) (and $values.openshift $isOfImage)) }}
{{- $_ := set $fields $field $value }}
{{- end }}
{{- end }}
{{- toYaml $fields }}
{{- end }}

{{/* A probe, or nothing where it is off: (list . "livenessProbe" "/-/healthy"). */}}
{{- define "cometapi-exporter.probe" -}}
{{- $root := index . 0 }}
{{- $fields := include "cometapi-exporter.fields" (list $root (index . 1)) | fromYaml }}
{{- if $fields.enabled }}
{{- $probe := omit $fields "enabled" }}
{{- if not (or $probe.httpGet $probe.tcpSocket $probe.exec $probe.grpc) }}
{{- $port := ternary "probes" "http" (not (empty $root.Values.webConfig.existingSecret)) }}
{{- $_ := set $probe "httpGet" (dict "path" (index . 2) "port" $port) }}
{{- end -}}
{{ index . 1 }}:
  {{- toYaml $probe | nindent 2 }}
{{- end }}
{{- end }}

{{/* How the operator scrapes: the endpoint of serviceMonitor or podMonitor, (list . .Values.podMonitor). */}}
{{- define "cometapi-exporter.monitorEndpoint" -}}
{{- $monitor := last . -}}
port: http
path: /metrics
interval: {{ $monitor.interval }}
scrapeTimeout: {{ $monitor.scrapeTimeout }}
{{- if (first .).Values.webConfig.tls }}
scheme: https
{{- end }}
{{- if $monitor.honorLabels }}
honorLabels: true
{{- end }}
{{- range $field := list "tlsConfig" "basicAuth" "relabelings" "metricRelabelings" }}
{{- with get $monitor $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $monitor.extraEndpoint }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What ServiceMonitor and PodMonitor specify alike: (list . .Values.podMonitor). */}}
{{- define "cometapi-exporter.monitorSpec" -}}
{{- $root := first . }}
{{- $monitor := last . -}}
# The chart's label, not the release's name: the alert for an exporter that is down looks for "cometapi" in the job.
jobLabel: app.kubernetes.io/name
selector:
  matchLabels:
    {{- include "cometapi-exporter.selectorLabels" $root | nindent 4 }}
{{- if and $monitor.namespace (ne $monitor.namespace $root.Release.Namespace) }}
namespaceSelector:
  matchNames:
    - {{ $root.Release.Namespace }}
{{- end }}
{{- with $monitor.sampleLimit }}
sampleLimit: {{ int64 . }}
{{- end }}
{{- with $monitor.extraSpec }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The groups of rules with the thresholds, labels and annotations of the values, and without the disabled alerts. */}}
{{- define "cometapi-exporter.ruleGroups" -}}
{{- $values := .Values.prometheusRule }}
{{- $prefix := "cometapi:threshold:" }}
{{- $disabled := default dict $values.disabled }}
{{- $unknownThresholds := deepCopy $values.thresholds }}
{{- $unknownAlerts := deepCopy $disabled }}
{{- $groups := list }}
{{- range $group := (.Files.Get "files/rules.yaml" | fromYaml).groups }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- $threshold := trimPrefix $prefix (default "" $rule.record) }}
{{- if and (hasPrefix $prefix (default "" $rule.record)) (hasKey $values.thresholds $threshold) }}
{{- $_ := set $rule "expr" (printf "vector(%v)" (index $values.thresholds $threshold | toJson)) }}
{{- $_ := unset $unknownThresholds $threshold }}
{{- end }}
{{- if $rule.alert }}
{{- with $values.additionalRuleLabels }}
{{- $_ := set $rule "labels" (mergeOverwrite (default dict $rule.labels) .) }}
{{- end }}
{{- with $values.additionalAnnotations }}
{{- $_ := set $rule "annotations" (mergeOverwrite (default dict $rule.annotations) .) }}
{{- end }}
{{- $_ := unset $unknownAlerts $rule.alert }}
{{- end }}
{{- if not (get $disabled (default "" $rule.alert)) }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- $_ := set $group "rules" $rules }}
{{- $groups = append $groups $group }}
{{- end }}
{{- end }}
{{- with keys $unknownThresholds | sortAlpha }}
{{- fail (printf "prometheusRule.thresholds: no such threshold: %s" (join ", " .)) }}
{{- end }}
{{- with keys $unknownAlerts | sortAlpha }}
{{- fail (printf "prometheusRule.disabled: no such alert: %s (recording rules cannot be left out: alerts and dashboards read them)" (join ", " .)) }}
{{- end }}
{{- toYaml $groups }}
{{- end }}

{{- define "cometapi-exporter.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* The number of pods: shards, or replicas of a single one. */}}
{{- define "cometapi-exporter.pods" -}}
{{- ternary .Values.shards .Values.replicaCount (gt (int .Values.shards) 1) }}
{{- end }}

{{/* Requests a minute of all pods; 50 is the exporter's default. */}}
{{- define "cometapi-exporter.requests" -}}
{{- default 50 .Values.collect.max_requests_per_minute }}
{{- end }}

{{/* The files of all Secrets by their path. A path names Secret and key: it never comes to mean another token. */}}
{{- define "cometapi-exporter.secretFiles" -}}
{{- $files := dict }}
{{- range .Values.accounts }}
{{- $key := default "token" .secretKey }}
{{- $_ := set $files (printf "%s/%s" .existingSecret $key) (dict "secret" .existingSecret "key" $key) }}
{{- with .caSecret }}
{{- $key := default "ca.crt" .key }}
{{- $_ := set $files (printf "%s/%s" .name $key) (dict "secret" .name "key" $key) }}
{{- end }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{/* The exporter's YAML file, with tokens and CA certificates at the paths where the pod mounts them. */}}
{{- define "cometapi-exporter.config" -}}
{{- $accounts := list }}
{{- range $account := .Values.accounts }}
{{- $entry := dict "name" $account.name "access_token_file" (printf "/var/run/secrets/cometapi-exporter/%s/%s" $account.existingSecret (default "token" $account.secretKey)) }}
{{- with $account.baseUrl }}{{ $_ := set $entry "base_url" . }}{{ end }}
{{- with $account.userId }}{{ $_ := set $entry "user_id" (int64 .) }}{{ end }}
{{- with $account.quotaPerUsd }}{{ $_ := set $entry "quota_per_usd" . }}{{ end }}
{{- with $account.monthlyBudgetUsd }}{{ $_ := set $entry "monthly_budget_usd" . }}{{ end }}
{{- with $account.allowInsecureHttp }}{{ $_ := set $entry "allow_insecure_http" . }}{{ end }}
{{- with $account.caSecret }}{{ $_ := set $entry "ca_file" (printf "/var/run/secrets/cometapi-exporter/%s/%s" .name (default "ca.crt" .key)) }}{{ end }}
{{- range $section := list "collect" "keys" "thresholds" }}
{{- with get $account $section }}{{ $_ := set $entry $section . }}{{ end }}
{{- end }}
{{- $accounts = append $accounts $entry }}
{{- end }}
{{- $config := dict "accounts" $accounts }}
{{- $collect := deepCopy .Values.collect }}
{{- $pods := include "cometapi-exporter.pods" . | int }}
{{- if gt $pods 1 }}
{{- $_ := set $collect "max_requests_per_minute" (div (include "cometapi-exporter.requests" . | int) $pods) }}
{{- end }}
{{- with $collect }}{{ $_ := set $config "collect" . }}{{ end }}
{{- with .Values.keys }}{{ $_ := set $config "keys" . }}{{ end }}
{{- with .Values.thresholds }}{{ $_ := set $config "thresholds" . }}{{ end }}
{{- toYaml $config }}
{{- end }}
