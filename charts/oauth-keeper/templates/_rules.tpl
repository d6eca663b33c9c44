{{/* What the operator may do with the objects it watches: the same in every namespace. */}}
{{- define "oauth-keeper.rules" -}}
- apiGroups: [oauth-keeper.dev]
  resources: [oauthcredentials]
  # To patch is for the finalizer.
  verbs: [get, list, watch, patch]
- apiGroups: [oauth-keeper.dev]
  resources: [oauthcredentials/status]
  verbs: [patch]
- apiGroups: [oauth-keeper.dev]
  resources: [oauthproviders]
  verbs: [list, watch]
- apiGroups: [oauth-keeper.dev]
  resources: [oauthproviders/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# Their UIDs tell one cluster from another that has a copy of the same objects.
- apiGroups: [""]
  resources: [namespaces]
  # Labels tell which of them may use a ClusterOAuthProvider.
  verbs: {{ if .Values.watchNamespaces }}[get]{{ else }}[get, list, watch]{{ end }}
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

{{/* What it may do besides where it serves the whole cluster. */}}
{{- define "oauth-keeper.clusterRules" -}}
- apiGroups: [oauth-keeper.dev]
  resources: [clusteroauthproviders]
  verbs: [list, watch]
- apiGroups: [oauth-keeper.dev]
  resources: [clusteroauthproviders/status]
  verbs: [patch]
{{- end }}

{{/* The subject of every binding. */}}
{{- define "oauth-keeper.subjects" -}}
- kind: ServiceAccount
  name: {{ include "oauth-keeper.serviceAccountName" . | quote }}
  namespace: {{ include "oauth-keeper.namespace" . | quote }}
{{- end }}
