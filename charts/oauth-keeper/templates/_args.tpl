{{- define "oauth-keeper.journalDir" -}}
/var/lib/oauth-keeper/journal
{{- end }}

{{/* The command line of the operator, without `extraArgs`, which come last. */}}
{{- define "oauth-keeper.ownArgs" -}}
- run
{{- range .Values.watchNamespaces }}
- --namespace={{ . }}
{{- end }}
- --leader-election={{ .Values.leaderElection.enabled }}
{{- if .Values.leaderElection.enabled }}
- --lease-name={{ include "oauth-keeper.leaseName" . }}
- --lease-namespace={{ include "oauth-keeper.namespace" . }}
{{- end }}
- --admin-address={{ .Values.admin.host }}:{{ .Values.admin.port }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
- --concurrency={{ .Values.concurrency }}
{{- if .Values.journal.enabled }}
- --journal-dir={{ include "oauth-keeper.journalDir" . }}
{{- end }}
{{- if .Values.allowHttp }}
- --allow-http
{{- end }}
{{- if .Values.allowLoopback }}
- --allow-loopback
{{- end }}
{{- if .Values.denyPrivateAddresses }}
- --deny-private-addresses
{{- end }}
{{- with .Values.proxy }}
- --proxy={{ . }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.args" -}}
{{ include "oauth-keeper.ownArgs" . }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
