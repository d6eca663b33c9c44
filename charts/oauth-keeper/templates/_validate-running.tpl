{{/*
What a release that exists keeps an upgrade from. Without a cluster to look at, as in `helm template`, nothing is known of
it, and nothing refused.
*/}}

{{/* What the arguments say of the Lease, sorted. */}}
{{- define "oauth-keeper.argsOfLease" -}}
{{- $args := list }}
{{- range . }}
{{- if regexMatch "^--(leader-election|lease-name|lease-namespace)=" . }}
{{- $args = append $args . }}
{{- end }}
{{- end }}
{{- $args | sortAlpha | join " " }}
{{- end }}

{{- define "oauth-keeper.validateRunning" -}}
{{- $strategy := include "oauth-keeper.strategy" . | fromYaml }}
{{- if and (gt (int .Values.replicas) 0) (ne $strategy.type "Recreate") }}
{{- $deployment := lookup "apps/v1" "Deployment" (include "oauth-keeper.namespace" .) (include "oauth-keeper.fullname" .) }}
{{- $spec := $deployment.spec | default dict }}
{{- $pods := max (int $spec.replicas) (int (dig "status" "replicas" 0 $deployment)) }}
{{- $containers := dig "template" "spec" "containers" list $spec }}
{{- if and $pods $containers }}
{{- $before := include "oauth-keeper.argsOfLease" ((first $containers).args | default list) }}
{{- $after := include "oauth-keeper.argsOfLease" (include "oauth-keeper.ownArgs" . | fromYamlArray) }}
{{- if ne $before $after }}
{{- fail (printf "leaderElection.enabled and leaderElection.leaseName can't be changed while pods of the release run (%s, then %s): old and new ones would spend the same refresh tokens. So end the operator first, with replicas=0 and the old values, wait until its pods are gone, and then upgrade with this change; or set strategy.type to Recreate" $before $after) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
