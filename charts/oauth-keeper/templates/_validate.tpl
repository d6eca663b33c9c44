{{/* Combinations of values that a schema can't put into words a user understands. */}}
{{- define "oauth-keeper.validate" -}}
{{- with .Values }}
{{- if not .leaderElection.enabled }}
{{- if gt (int .replicas) 1 }}
{{- fail "replicas must be 1 (or 0) when leaderElection.enabled is false: two working pods would spend the same refresh tokens" }}
{{- end }}
{{- if ne (.strategy.type | default "Recreate") "Recreate" }}
{{- fail "strategy.type must be Recreate when leaderElection.enabled is false: an old and a new pod would work at the same time" }}
{{- end }}
{{- end }}
{{- if and (ne (toString .podDisruptionBudget.minAvailable) "") (ne (toString .podDisruptionBudget.maxUnavailable) "") }}
{{- fail "podDisruptionBudget takes minAvailable or maxUnavailable, not both" }}
{{- end }}
{{- if and .rbac.create (not .serviceAccount.create) (not .serviceAccount.name) }}
{{- fail "serviceAccount.name must be set when serviceAccount.create is false and rbac.create is true: every pod of the namespace would have the rights" }}
{{- end }}
{{- if and .serviceMonitor.enabled .podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled can't both be true: every sample would be taken twice" }}
{{- end }}
{{- if and .serviceMonitor.enabled (not .service.enabled) }}
{{- fail "serviceMonitor.enabled needs service.enabled; or use podMonitor" }}
{{- end }}
{{- if and .networkPolicy.enabled .hostNetwork }}
{{- fail "networkPolicy.enabled has no effect with hostNetwork: a NetworkPolicy does not apply to the node's network" }}
{{- end }}
{{- end }}
{{- end }}
