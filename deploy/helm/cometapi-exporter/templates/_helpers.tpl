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

{{/* The chart's labels with more of the user's: (list . labels). Those of the user win. */}}
{{- define "cometapi-exporter.labelsWith" -}}
{{- mergeOverwrite (include "cometapi-exporter.labels" (first .) | fromYaml) (last .) | toYaml }}
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
