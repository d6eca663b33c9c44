{{/* Combinations of values that a schema can't put into words a user understands. */}}
{{- define "oauth-keeper.validate" -}}
{{- include "oauth-keeper.validateScope" . }}
{{- include "oauth-keeper.validateRights" . }}
{{- include "oauth-keeper.validateCrds" . }}
{{- include "oauth-keeper.validateTaken" . }}
{{- if .Values.operator.enabled }}
{{- include "oauth-keeper.validateReplicas" . }}
{{- include "oauth-keeper.validateDisruptions" . }}
{{- include "oauth-keeper.validateJournal" . }}
{{- include "oauth-keeper.validateResources" . }}
{{- include "oauth-keeper.validateNetwork" . }}
{{- include "oauth-keeper.validateAddresses" . }}
{{- include "oauth-keeper.validatePod" . }}
{{- include "oauth-keeper.validateSelector" . }}
{{- include "oauth-keeper.validateRunning" . }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateScope" -}}
{{- with .Values }}
{{- if has "" .watchNamespaces }}
{{- fail "watchNamespaces has an empty name in it, as --set 'watchNamespaces={}' makes one: for all namespaces leave it out, or write --set-json 'watchNamespaces=[]'" }}
{{- end }}
{{- $roles := and .rbac.create (not (include "oauth-keeper.isGuest" $)) (or .rbac.aggregateToView .rbac.aggregateToEdit .rbac.aggregateToAdmin) }}
{{- if not (or .operator.enabled (include "oauth-keeper.bringsCrds" $) (include "oauth-keeper.bringsPolicy" $) $roles .extraObjects) }}
{{- fail "nothing is left to install: operator.enabled and crds.enabled are false, and there is neither an admission policy nor a role for users (with watchNamespaces and without crds.enabled a release brings no roles for users)" }}
{{- end }}
{{- if and .crds.enabled (not .crds.upgrade) (not .crds.keep) }}
{{- fail "crds.upgrade must not be false when crds.keep is: Helm would delete the CRDs that this release no longer brings, and all credentials with them. Upgrade with crds.keep=true alone first, which writes it to the CRDs in the cluster, and with crds.upgrade=false after that" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateRights" -}}
{{- with .Values }}
{{- if and .rbac.create (not .serviceAccount.create) (not .serviceAccount.name) }}
{{- fail "serviceAccount.name must be set when serviceAccount.create is false and rbac.create is true: every pod of the namespace would have the rights" }}
{{- end }}
{{- if and .operator.enabled .rbac.create (eq (.serviceAccount.name | default "") "default") }}
{{- fail "serviceAccount.name must not be default when rbac.create is true: every pod of the namespace would have the rights" }}
{{- end }}
{{- if and .rbac.serviceAccountTokens (eq (toString .admissionPolicy.enabled) "auto") (include "oauth-keeper.isGuest" $) }}
{{- fail "admissionPolicy.enabled must be true or false when rbac.serviceAccountTokens is true in a release with watchNamespaces and without the CRDs: without a policy whoever may write credentials can have the token of any ServiceAccount sent to an endpoint of their own. Set true for a policy of these namespaces (it takes rights on the cluster), or false if another release has brought one for the cluster" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateReplicas" -}}
{{- with .Values }}
{{- $strategy := .strategy | default dict }}
{{- if not .leaderElection.enabled }}
{{- if gt (int .replicas) 1 }}
{{- fail "replicas must be 1 (or 0) when leaderElection.enabled is false: two working pods would spend the same refresh tokens" }}
{{- end }}
{{- if ne ($strategy.type | default "Recreate") "Recreate" }}
{{- fail "strategy.type must be Recreate when leaderElection.enabled is false: an old and a new pod would work at the same time" }}
{{- end }}
{{- end }}
{{- with $strategy.rollingUpdate }}
{{- if eq ($strategy.type | default "") "Recreate" }}
{{- fail "strategy.rollingUpdate is not used when strategy.type is Recreate; remove it" }}
{{- end }}
{{- if and (regexMatch "^0+%?$" (toString .maxSurge)) (regexMatch "^0+%?$" (toString .maxUnavailable)) }}
{{- fail "strategy.rollingUpdate.maxSurge and maxUnavailable can't both be 0: no pod could be replaced" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateDisruptions" -}}
{{- $replicas := int .Values.replicas }}
{{- with .Values.podDisruptionBudget }}
{{- $least := ternary "" (toString .minAvailable) (eq .minAvailable nil) }}
{{- $most := ternary "" (toString .maxUnavailable) (eq .maxUnavailable nil) }}
{{- if and $least $most }}
{{- fail "podDisruptionBudget takes minAvailable or maxUnavailable, not both: leave one of them empty" }}
{{- end }}
{{- if and .enabled (gt $replicas 1) }}
{{- if and $least (ge (include "oauth-keeper.pods" (list $least $replicas) | int) $replicas) }}
{{- fail (printf "podDisruptionBudget.minAvailable (%s) must leave one of the %d replicas to be evicted: no node could be drained" $least $replicas) }}
{{- end }}
{{- if regexMatch "^0+%?$" $most }}
{{- fail "podDisruptionBudget.maxUnavailable must be 1 or more: no node could be drained" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateJournal" -}}
{{- with .Values }}
{{- if .journal.enabled }}
{{- $size := include "oauth-keeper.bytes" .journal.sizeLimit | int64 }}
{{- /* A quarter more may be under way: what is lost when it waits. */}}
{{- $requests := add (int .concurrency) (max 1 (div (int .concurrency) 4)) }}
{{- $needed := mul 400 $requests }}
{{- if lt $size (mul $needed 1024) }}
{{- fail (printf "journal.sizeLimit (%v) must be %dKi or more for a concurrency of %v: 400 KiB for each request under way, of which there are %d at most" .journal.sizeLimit $needed .concurrency $requests) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the process needs beside the journal: some 17 MiB idle, and more for credentials. */}}
{{- define "oauth-keeper.validateResources" -}}
{{- $resources := .Values.resources | default dict }}
{{- $limits := $resources.limits | default dict }}
{{- $journal := ternary .Values.journal.sizeLimit "0" .Values.journal.enabled }}
{{- with $limits.memory }}
{{- $needed := add (include "oauth-keeper.bytes" $journal | int64) (mul 32 1024 1024) }}
{{- if lt (include "oauth-keeper.bytes" . | int64) $needed }}
{{- fail (printf "resources.limits.memory (%v) must be %vKi or more: 32Mi for the process, and what is in the journal counts towards it (journal.sizeLimit)" . (divf $needed 1024.0 | ceil | int64)) }}
{{- end }}
{{- end }}
{{- if $resources.claims }}
{{- fail "resources.claims must be empty: the pod has no claims (resourceClaims) that the container could name, and the chart makes none" }}
{{- end }}
{{- range $name, $requested := $resources.requests }}
{{- $limit := get $limits $name }}
{{- if include "oauth-keeper.isDealtOut" $name }}
{{- if not (and (hasKey $limits $name) (eq (include "oauth-keeper.amount" $requested) (include "oauth-keeper.amount" $limit))) }}
{{- fail (printf "resources.limits.%s (%v) must be resources.requests.%s (%v): Kubernetes gives no more of it than was requested" $name (hasKey $limits $name | ternary $limit "none") $name $requested) }}
{{- end }}
{{- else if and (hasKey $limits $name) (gt (include "oauth-keeper.amount" $requested | float64) (include "oauth-keeper.amount" $limit | float64)) }}
{{- fail (printf "resources.requests.%s (%v) must not be above resources.limits.%s (%v)" $name $requested $name $limit) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whether nobody gets more of a resource than was requested: devices, hugepages and the like. */}}
{{- define "oauth-keeper.isDealtOut" -}}
{{- if or (hasPrefix "hugepages-" .) (and (contains "/" .) (not (contains "kubernetes.io/" .))) }}true{{ end }}
{{- end }}

{{- define "oauth-keeper.validateNetwork" -}}
{{- with .Values }}
{{- if and .serviceMonitor.enabled .podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled can't both be true: every sample would be taken twice" }}
{{- end }}
{{- range $name := list "serviceMonitor" "podMonitor" }}
{{- $monitor := get $.Values $name }}
{{- if and $monitor.interval $monitor.scrapeTimeout }}
{{- if gt (include "oauth-keeper.milliseconds" $monitor.scrapeTimeout | int64) (include "oauth-keeper.milliseconds" $monitor.interval | int64) }}
{{- fail (printf "%s.scrapeTimeout (%s) must not be longer than %s.interval (%s): Prometheus would refuse it" $name $monitor.scrapeTimeout $name $monitor.interval) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .serviceMonitor.enabled (not .service.enabled) }}
{{- fail "serviceMonitor.enabled needs service.enabled; or use podMonitor" }}
{{- end }}
{{- if and (gt (len (.service.ipFamilies | default list)) 1) (not (hasSuffix "DualStack" (.service.ipFamilyPolicy | default ""))) }}
{{- fail "service.ipFamilyPolicy must be PreferDualStack or RequireDualStack where service.ipFamilies has two families" }}
{{- end }}
{{- $alerts := list }}
{{- range (first ($.Files.Get "files/alerts.yaml" | fromYaml).groups).rules }}
{{- $alerts = append $alerts .alert }}
{{- end }}
{{- range $index, $name := .prometheusRule.disabledAlerts }}
{{- if not (has $name $alerts) }}
{{- fail (printf "prometheusRule.disabledAlerts[%d] (%s) must be the name of an alert: %s" $index $name (join ", " $alerts)) }}
{{- end }}
{{- end }}
{{- if and .networkPolicy.enabled .hostNetwork }}
{{- fail "networkPolicy.enabled has no effect with hostNetwork: a NetworkPolicy does not apply to the node's network" }}
{{- end }}
{{- end }}
{{- end }}
