{{- define "watcher.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters, so that there is room for what is put behind it. */}}
{{- define "watcher.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "watcher.selectorLabels" -}}
app.kubernetes.io/name: {{ include "watcher.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Not the selector's: the Service must not send anybody to the pod of `helm test`. */}}
{{- define "watcher.testLabels" -}}
app.kubernetes.io/name: {{ include "watcher.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* All but the selector's and the chart's. */}}
{{- define "watcher.otherLabels" -}}
app.kubernetes.io/part-of: watcher
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "watcher.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "watcher.podLabels" . }}
{{- end }}

{{/* Without the chart's version, which changes more often than a pod needs to be replaced. */}}
{{- define "watcher.podLabels" -}}
{{ include "watcher.selectorLabels" . }}
{{ include "watcher.otherLabels" . }}
{{- end }}

{{- define "watcher.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "watcher.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "watcher.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Empty where there is none: then nothing is mounted. */}}
{{- define "watcher.secretName" -}}
{{- if .Values.existingSecret }}
{{- .Values.existingSecret }}
{{- else if .Values.secrets }}
{{- include "watcher.fullname" . }}
{{- end }}
{{- end }}

{{/* The configuration with what the chart decides: the store and where to listen. */}}
{{- define "watcher.config" -}}
{{- $store := dict "url" "sqlite:////var/lib/watcher/watcher.db" }}
{{- if eq .Values.store.type "postgres" }}
{{- $store = dict "url_file" "/etc/watcher/secrets/store-url" }}
{{- end }}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "store" (merge $store (default dict $config.store)) }}
{{- $_ := set $config "web" (merge (dict "listen" ":9468") (default dict $config.web)) }}
{{- toYaml $config }}
{{- end }}

{{/* Refuses a secret in the configuration, which becomes a ConfigMap. Does not show it. */}}
{{- define "watcher.checkSecret" -}}
{{- if and .value (not (contains "${" .value)) }}
{{- fail (printf "\n\nconfig.%s is a secret, and the configuration becomes a ConfigMap: put it into the Secret and name its file, `%s_file: /etc/watcher/secrets/…`, or write `${VAR}` and set VAR with extraEnv.\n" .key (splitList "." .key | last)) }}
{{- end }}
{{- end }}

{{/* What can be told to be wrong before a pod fails by it. */}}
{{- define "watcher.check" -}}
{{- if not .Values.config.sources }}
{{- fail "\n\nconfig.sources: the watcher needs at least one source; values.yaml and README.md of the chart have an example.\n" }}
{{- end }}
{{- if and .Values.existingSecret .Values.secrets }}
{{- fail "\n\nGive existingSecret or secrets, not both.\n" }}
{{- end }}
{{- range $i, $source := .Values.config.sources }}
{{- range list "access_key" "secret_key" "security_token" "token" "password" }}
{{- include "watcher.checkSecret" (dict "key" (printf "sources[%d].auth.%s" $i .) "value" (dig "auth" . "" $source)) }}
{{- end }}
{{- if contains "@" (default "" $source.proxy_url) }}
{{- include "watcher.checkSecret" (dict "key" (printf "sources[%d].proxy_url" $i) "value" $source.proxy_url) }}
{{- end }}
{{- end }}
{{- range $i, $receiver := .Values.config.receivers }}
{{- range list "secret" "webhook_url" "bot_token" "routing_key" }}
{{- include "watcher.checkSecret" (dict "key" (printf "receivers[%d].%s" $i .) "value" (get $receiver .)) }}
{{- end }}
{{- range $receiver.urls }}
{{- include "watcher.checkSecret" (dict "key" (printf "receivers[%d].urls" $i) "value" .) }}
{{- end }}
{{- end }}
{{- $auth := default dict (default dict .Values.config.web).auth }}
{{- range list "bearer_token" "password" }}
{{- include "watcher.checkSecret" (dict "key" (printf "web.auth.%s" .) "value" (get $auth .)) }}
{{- end }}
{{- include "watcher.checkSecret" (dict "key" "heartbeat.url" "value" (default dict .Values.config.heartbeat).url) }}
{{- range regexFindAll "/etc/watcher/secrets/[-._a-zA-Z0-9]+" (include "watcher.config" .) -1 | uniq }}
{{- if not (or $.Values.existingSecret (hasKey $.Values.secrets (base .))) }}
{{- fail (printf "\n\nThe configuration names the file %s: give `secrets` with the key %s, or `existingSecret`.\n" . (base .)) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "watcher.scheme" -}}
{{- if dig "web" "tls" nil .Values.config }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}
