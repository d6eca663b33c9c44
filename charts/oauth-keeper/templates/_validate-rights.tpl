{{/*
What the pods of the release have from it and would miss. Helm takes rights away before the Deployment has other pods, and an
answer that arrives in between could be written nowhere.
*/}}

{{/* What the release brings; the Deployment says so, for the next upgrade to compare with. */}}
{{- define "oauth-keeper.brings" -}}
{{- $brings := list }}
{{- if .Values.serviceAccount.create }}
{{- $brings = append $brings "account" }}
{{- end }}
{{- if .Values.rbac.create }}
{{- $brings = append $brings "rights" }}
{{- end }}
{{- if include "oauth-keeper.bringsCrds" . }}
{{- $brings = append $brings "crds" }}
{{- end }}
{{- $brings | join "," }}
{{- end }}

{{/* The namespaces of the arguments, sorted, as a list; none means all. */}}
{{- define "oauth-keeper.watchedByArgs" -}}
{{- $names := list }}
{{- range . }}
{{- if hasPrefix "--namespace=" . }}
{{- $names = append $names (trimPrefix "--namespace=" .) }}
{{- end }}
{{- end }}
{{- $names | sortAlpha | toJson }}
{{- end }}

{{/* The values that take away what the pods of the Deployment have, by name: (list $ DEPLOYMENT). */}}
{{- define "oauth-keeper.takenAway" -}}
{{- $root := first . }}
{{- $values := $root.Values }}
{{- $deployment := last . }}
{{- $brought := splitList "," (dig "metadata" "annotations" "oauth-keeper.dev/brings" "" $deployment) }}
{{- $brings := splitList "," (include "oauth-keeper.brings" $root) }}
{{- $pod := $deployment.spec.template.spec }}
{{- $before := include "oauth-keeper.watchedByArgs" ((first $pod.containers).args | default list) | fromJsonArray }}
{{- $gone := list }}
{{- if not $values.operator.enabled }}
{{- $gone = append $gone "operator.enabled" }}
{{- else }}
{{- if ne ($pod.serviceAccountName | default "default") (include "oauth-keeper.serviceAccountName" $root) }}
{{- $gone = append $gone "serviceAccount.name" }}
{{- end }}
{{- if and (has "account" $brought) (not (has "account" $brings)) }}
{{- $gone = append $gone "serviceAccount.create" }}
{{- end }}
{{- if and (has "rights" $brought) (not (has "rights" $brings)) }}
{{- $gone = append $gone "rbac.create" }}
{{- end }}
{{- $less := and $values.watchNamespaces (not $before) }}
{{- range $before }}
{{- $less = or $less (and $values.watchNamespaces (not (has . $values.watchNamespaces))) }}
{{- end }}
{{- if and $less (has "rights" $brought) }}
{{- $gone = append $gone "watchNamespaces" }}
{{- end }}
{{- end }}
{{- $gone | join ", " }}
{{- end }}

{{- define "oauth-keeper.validateTaken" -}}
{{- $deployment := lookup "apps/v1" "Deployment" (include "oauth-keeper.namespace" .) (include "oauth-keeper.fullname" .) }}
{{- if and $deployment (eq .Release.Name (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $deployment)) }}
{{- $brought := splitList "," (dig "metadata" "annotations" "oauth-keeper.dev/brings" "" $deployment) }}
{{- if and (has "crds" $brought) (include "oauth-keeper.isGuest" .) }}
{{- fail "crds.enabled=false in a release with watchNamespaces would take the admission policy and the roles for users away with the CRDs. To leave the CRDs as they are, set crds.upgrade=false in its place; if another release is to have them, do so first, and set crds.enabled=false in the next upgrade" }}
{{- end }}
{{- with include "oauth-keeper.takenAway" (list . $deployment) }}
{{- $pods := max (int $deployment.spec.replicas) (int (dig "status" "replicas" 0 $deployment)) }}
{{- $ending := "" }}
{{- if not $pods }}
{{- $ending = include "oauth-keeper.podsOf" $deployment }}
{{- end }}
{{- if or $pods $ending }}
{{- fail (printf "%s can't be changed so while pods of the release %s: they would lose their rights before they end, and a refresh token that just arrives could be written nowhere. So end the operator first, with --set replicas=0 and the old values, wait until its pods are gone, and then upgrade with this change" . (ternary (printf "are still there (%s)" $ending) "run" (eq $pods 0))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
