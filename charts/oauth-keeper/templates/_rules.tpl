{{/* What the operator may do with the objects it watches: the same in every namespace. */}}
{{- define "oauth-keeper.rules" -}}
- apiGroups: [oauth-keeper.dev]
  resources: [oauthcredentials]
  # To patch is for the finalizer.
  verbs: [get, list, watch, patch]
- apiGroups: [oauth-keeper.dev]
  resources: [oauthcredentials/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# Their UIDs tell one cluster from another that has a copy of the same objects.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.rbac.serviceAccountTokens }}
# For grant tokenExchange with a ServiceAccount. Whoever has such a token is that ServiceAccount.
- apiGroups: [""]
  resources: [serviceaccounts/token]
  verbs: [create]
{{- end }}
{{- end }}

{{/* The subject of every binding. */}}
{{- define "oauth-keeper.subjects" -}}
- kind: ServiceAccount
  name: {{ include "oauth-keeper.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
