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

{{- define "oauth-keeper.ownLabels" -}}
{{ include "oauth-keeper.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Those of every object. The user's never replace the chart's. */}}
{{- define "oauth-keeper.labels" -}}
{{- merge (include "oauth-keeper.ownLabels" . | fromYaml) .Values.commonLabels | toYaml }}
{{- end }}

{{/* Those of an object that has a value for more: (list $ .Values.….labels). */}}
{{- define "oauth-keeper.labelsAnd" -}}
{{- merge (include "oauth-keeper.ownLabels" (first .) | fromYaml) (last .) (first .).Values.commonLabels | toYaml }}
{{- end }}

{{/*
Whether this release brings what belongs to the kind and not to one operator: the aggregated roles and the admission
policy. Those limited to some namespaces, without the CRDs, must do with Roles.
*/}}
{{- define "oauth-keeper.bringsKind" -}}
{{- if or .Values.crds.enabled (not .Values.watchNamespaces) }}true{{ end }}
{{- end }}
