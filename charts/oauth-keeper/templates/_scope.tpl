{{/* Which part of the whole this release is. */}}

{{/*
A guest is limited to some namespaces and leaves the CRDs to another release, so that it can do with Roles. It brings
nothing that belongs to the kind and not to one operator: neither roles for users nor, unless told to, a policy.
*/}}
{{- define "oauth-keeper.isGuest" -}}
{{- if and .Values.watchNamespaces (not .Values.crds.enabled) }}true{{ end }}
{{- end }}

{{- define "oauth-keeper.bringsCrds" -}}
{{- if and .Values.crds.enabled .Values.crds.upgrade }}true{{ end }}
{{- end }}

{{- define "oauth-keeper.bringsPolicy" -}}
{{- if eq (toString .Values.admissionPolicy.enabled) "auto" }}
{{- if not (include "oauth-keeper.isGuest" .) }}true{{ end }}
{{- else if .Values.admissionPolicy.enabled }}true{{ end }}
{{- end }}

{{/*
Whether an operator that the policy stands before may make tokens of ServiceAccounts. A policy of the whole cluster
knows that of its own release alone, so it takes the worst of others, where there can be any.
*/}}
{{- define "oauth-keeper.tokensMayBeMade" -}}
{{- $others := or .Values.watchNamespaces (not .Values.operator.enabled) }}
{{- if or .Values.rbac.serviceAccountTokens (and $others (not (include "oauth-keeper.isGuest" .))) }}true{{ end }}
{{- end }}
