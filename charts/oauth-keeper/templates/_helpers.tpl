{{/* Names */}}
{{- define "oauth-keeper.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Kept under 50 characters, so that suffixes and pod names fit. A release may have dots in its name, and begin with a
digit; a Service may not.
*/}}
{{- define "oauth-keeper.fullname" -}}
{{- $name := include "oauth-keeper.name" . }}
{{- $release := .Release.Name | replace "." "-" }}
{{- $full := ternary $release (printf "%s-%s" $release $name) (contains $name $release) }}
{{- if regexMatch "^[0-9]" $full }}
{{- $full = printf "%s-%s" $name $release }}
{{- end }}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "oauth-keeper.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace }}
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
app.kubernetes.io/name: {{ include "oauth-keeper.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "oauth-keeper.ownLabels" -}}
{{ include "oauth-keeper.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Those of an object, with more of its own: (list $ LABELS). The user's never replace the chart's. */}}
{{- define "oauth-keeper.labelsAnd" -}}
{{- $own := include "oauth-keeper.ownLabels" (first .) | fromYaml }}
{{- merge $own (last . | default dict) ((first .).Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/*
What every object has: (dict "root" $), with what it has besides: "name", else the common one and a "suffix";
"namespace"; "labels"; "annotations".
*/}}
{{- define "oauth-keeper.metadata" -}}
name: {{ .name | default (printf "%s%s" (include "oauth-keeper.fullname" .root) (.suffix | default "")) | quote }}
{{- with .namespace }}
namespace: {{ . | quote }}
{{- end }}
labels:
  {{- include "oauth-keeper.labelsAnd" (list .root .labels) | nindent 2 }}
{{- with merge dict (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
