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

{{/*
Pods of a Deployment that have not ended, a list. Its status does not count those that are ending, which may go on for
minutes; a list has them.
*/}}
{{- define "oauth-keeper.livePods" -}}
{{- $deployment := . }}
{{- $pods := list }}
{{- range (lookup "v1" "Pod" $deployment.metadata.namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- $selected := not (has (dig "status" "phase" "" .) (list "Succeeded" "Failed")) }}
{{- range $label, $value := $deployment.spec.selector.matchLabels }}
{{- $selected = and $selected (eq (get $labels $label) $value) }}
{{- end }}
{{- if $selected }}
{{- $lease := include "oauth-keeper.argsOfLease" ((first .spec.containers).args | default list) }}
{{- $pods = append $pods (dict "name" .metadata.name "lease" $lease) }}
{{- end }}
{{- end }}
{{- $pods | toJson }}
{{- end }}

{{/* The names of these, sorted. */}}
{{- define "oauth-keeper.podsOf" -}}
{{- $names := list }}
{{- range include "oauth-keeper.livePods" . | fromJsonArray }}
{{- $names = append $names .name }}
{{- end }}
{{- $names | sortAlpha | join ", " }}
{{- end }}

{{/* The names of those that take another Lease than the arguments say: (list DEPLOYMENT LEASE). */}}
{{- define "oauth-keeper.podsOfOtherLease" -}}
{{- $lease := last . }}
{{- $names := list }}
{{- range include "oauth-keeper.livePods" (first .) | fromJsonArray }}
{{- if ne $lease .lease }}
{{- $names = append $names .name }}
{{- end }}
{{- end }}
{{- $names | sortAlpha | join ", " }}
{{- end }}

{{- define "oauth-keeper.validateRunning" -}}
{{- $strategy := include "oauth-keeper.strategy" . | fromYaml }}
{{- if and (gt (int .Values.replicas) 0) (ne $strategy.type "Recreate") }}
{{- $deployment := include "oauth-keeper.deployment" . | fromJson }}
{{- $spec := $deployment.spec | default dict }}
{{- $after := include "oauth-keeper.argsOfLease" (include "oauth-keeper.ownArgs" . | fromYamlArray) }}
{{- $pods := max (int $spec.replicas) (int (dig "status" "replicas" 0 $deployment)) }}
{{- $containers := dig "template" "spec" "containers" list $spec }}
{{- if and $pods $containers }}
{{- $before := include "oauth-keeper.argsOfLease" ((first $containers).args | default list) }}
{{- if ne $before $after }}
{{- fail (printf "leaderElection.enabled and leaderElection.leaseName can't be changed while pods of the release run (%s, then %s): old and new ones would spend the same refresh tokens. So end the operator first, with replicas=0 and the old values, wait until its pods are gone, and then upgrade with this change; or set strategy.type to Recreate" $before $after) }}
{{- end }}
{{- else if $spec }}
{{- /* Pods are listed in this moment only, so that who installs need not be allowed to otherwise. */}}
{{- with include "oauth-keeper.podsOfOtherLease" (list $deployment $after) }}
{{- fail (printf "pods of the release that take another Lease are still there (%s; then %s): old and new ones would spend the same refresh tokens. Wait until they are gone; or set strategy.type to Recreate" . $after) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A failed try would leave Service and PodDisruptionBudget without pods. */}}
{{- define "oauth-keeper.validateSelector" -}}
{{- $deployment := include "oauth-keeper.deployment" . | fromJson }}
{{- $name := include "oauth-keeper.fullname" . }}
{{- if eq (dig "metadata" "name" "" $deployment) $name }}
{{- $before := $deployment.spec.selector.matchLabels }}
{{- $after := include "oauth-keeper.selectorLabels" . | fromYaml }}
{{- if ne (toJson $before) (toJson $after) }}
{{- $label := "app.kubernetes.io/name" }}
{{- fail (printf "nameOverride can't be changed while the Deployment %s is there (%s, then %s): Kubernetes does not let its selector change. So end the operator first, with replicas=0 and the old values, wait until its pods are gone, run kubectl --namespace %s delete deployment %s, and then upgrade with this change" $name (get $before $label) (get $after $label) (include "oauth-keeper.namespace" .) $name) }}
{{- end }}
{{- end }}
{{- end }}
