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

{{/* The object in the cluster is one of this release: (list $ OBJECT). */}}
{{- define "oauth-keeper.isOfRelease" -}}
{{- $release := (first .).Release }}
{{- $annotations := dig "metadata" "annotations" dict (last . | default dict) }}
{{- if and (eq $release.Name (get $annotations "meta.helm.sh/release-name")) (eq $release.Namespace (get $annotations "meta.helm.sh/release-namespace")) }}true{{ end }}
{{- end }}

{{/* The Deployment of the release as it is in the cluster, or an empty object. */}}
{{- define "oauth-keeper.deployment" -}}
{{- $found := lookup "apps/v1" "Deployment" (include "oauth-keeper.namespace" .) (include "oauth-keeper.fullname" .) }}
{{- if not (include "oauth-keeper.isOfRelease" (list . $found)) }}
{{- $found = dict }}
{{- range (lookup "apps/v1" "Deployment" (include "oauth-keeper.namespace" .) "").items }}
{{- if and (include "oauth-keeper.isOfRelease" (list $ .)) (include "oauth-keeper.saysWhatItBrings" .) }}
{{- $found = . }}
{{- end }}
{{- end }}
{{- end }}
{{- $found | toJson }}
{{- end }}

{{/* That of a chart from before this annotation does not, also not after a rollback to it. */}}
{{- define "oauth-keeper.saysWhatItBrings" -}}
{{- if hasKey (dig "metadata" "annotations" dict .) "oauth-keeper.dev/brings" }}true{{ end }}
{{- end }}

{{/* What the release of that Deployment brought. One that does not say so is taken to have brought what its pods need. */}}
{{- define "oauth-keeper.brought" -}}
{{- dig "metadata" "annotations" "oauth-keeper.dev/brings" "account,rights" . }}
{{- end }}

{{/* The namespaces that its pods watch, sorted, as a list; none means all. */}}
{{- define "oauth-keeper.watchedBefore" -}}
{{- $names := list }}
{{- range (first .spec.template.spec.containers).args }}
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
{{- $brought := include "oauth-keeper.brought" $deployment | splitList "," }}
{{- $brings := include "oauth-keeper.brings" $root | splitList "," }}
{{- /* An account and rights that are the user's own stay, whatever becomes of the release. */}}
{{- $lends := or (has "account" $brought) (has "rights" $brought) }}
{{- $before := include "oauth-keeper.watchedBefore" $deployment | fromJsonArray }}
{{- $gone := list }}
{{- if not $values.operator.enabled }}
{{- if $lends }}
{{- $gone = append $gone "operator.enabled" }}
{{- end }}
{{- else }}
{{- $account := $deployment.spec.template.spec.serviceAccountName | default "default" }}
{{- if and $lends (ne $account (include "oauth-keeper.serviceAccountName" $root)) }}
{{- $gone = append $gone (ternary "serviceAccount.name" "fullnameOverride, nameOverride or serviceAccount" (not (empty $values.serviceAccount.name))) }}
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
{{- with include "oauth-keeper.deployment" . | fromJson }}
{{- $deployment := . }}
{{- with include "oauth-keeper.takenAway" (list $ .) }}
{{- $pods := max (int $deployment.spec.replicas) (int (dig "status" "replicas" 0 $deployment)) }}
{{- $ending := "" }}
{{- if not $pods }}
{{- $ending = include "oauth-keeper.podsOf" $deployment }}
{{- end }}
{{- if or $pods $ending }}
{{- $unsaid := "" }}
{{- if not (include "oauth-keeper.saysWhatItBrings" $deployment) }}
{{- $unsaid = " (and the old chart: the release does not say what it brought)" }}
{{- end }}
{{- fail (printf "%s can't be changed so while pods of the release %s: they would lose their rights before they end, and a refresh token that just arrives could be written nowhere. So end the operator first, with --set replicas=0 and the old values%s, wait until its pods are gone, and then upgrade with this change" . (ternary (printf "are still there (%s)" $ending) "run" (eq $pods 0)) $unsaid) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
