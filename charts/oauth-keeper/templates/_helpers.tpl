{{/* Names */}}
{{- define "oauth-keeper.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Kept under 50 characters, so that suffixes and pod names fit. */}}
{{- define "oauth-keeper.fullname" -}}
{{- $name := include "oauth-keeper.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "oauth-keeper.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "oauth-keeper.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "oauth-keeper.leaseName" -}}
{{- .Values.leaderElection.leaseName | default (include "oauth-keeper.fullname" .) }}
{{- end }}

{{- define "oauth-keeper.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Labels */}}
{{- define "oauth-keeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "oauth-keeper.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "oauth-keeper.labels" -}}
{{ include "oauth-keeper.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Combinations of values that a schema can't put into words a user understands. */}}
{{- define "oauth-keeper.validate" -}}
{{- if and (not .Values.leaderElection.enabled) (gt (int .Values.replicas) 1) }}
{{- fail "replicas must be 1 (or 0) when leaderElection.enabled is false: two working pods would spend the same refresh tokens" }}
{{- end }}
{{- end }}
