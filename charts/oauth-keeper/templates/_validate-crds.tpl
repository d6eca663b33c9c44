{{/*
What an upgrade that does not bring the CRDs would take away with them. Helm deletes what the release had and has no longer,
unless the object in the cluster says that it stays, whatever the chart says.
*/}}

{{/*
Whether the release had them before: "yes", "perhaps", or nothing. Whoever may not get them gets an error of a look at
them, so an operator of some namespaces, whose installer need not be allowed to, must be told by its namespace alone.
*/}}
{{- define "oauth-keeper.hadCrds" -}}
{{- $deployment := include "oauth-keeper.deployment" . | fromJson }}
{{- $guest := include "oauth-keeper.isGuest" . }}
{{- if not .Release.IsUpgrade }}
{{- else if include "oauth-keeper.saysWhatItBrings" $deployment }}
{{- if has "crds" (include "oauth-keeper.brought" $deployment | splitList ",") }}yes{{ end }}
{{- else if $deployment }}
{{- /* Of an older chart: who watched some namespaces may have been a guest before. */}}
{{- if not (and $guest (include "oauth-keeper.watchedBefore" $deployment | fromJsonArray)) }}perhaps{{ end }}
{{- else if $guest }}
{{- /* A first installation that failed has made the account first. */}}
{{- $account := lookup "v1" "ServiceAccount" (include "oauth-keeper.namespace" .) (include "oauth-keeper.serviceAccountName" .) }}
{{- if not (and (include "oauth-keeper.isOfRelease" (list . $account)) (include "oauth-keeper.saysWhatItBrings" $account)) }}perhaps
{{- else if has "crds" (include "oauth-keeper.brought" $account | splitList ",") }}yes{{ end }}
{{- else }}perhaps{{ end }}
{{- end }}

{{/* Those in the cluster that the release had, or has as their annotations say: (list $ WHETHER). */}}
{{- define "oauth-keeper.crdsOfRelease" -}}
{{- $root := first . }}
{{- $certain := eq (last .) "yes" }}
{{- $crds := list }}
{{- range $path, $_ := $root.Files.Glob "files/crds/*.yaml" }}
{{- $name := printf "%s.oauth-keeper.dev" (base $path | trimSuffix ".yaml") }}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name }}
{{- if and $crd (or $certain (include "oauth-keeper.isOfRelease" (list $root $crd))) }}
{{- $crds = append $crds (dict "name" $name "annotations" ($crd.metadata.annotations | default dict)) }}
{{- end }}
{{- end }}
{{- $crds | toJson }}
{{- end }}

{{- define "oauth-keeper.validateCrds" -}}
{{- $had := include "oauth-keeper.hadCrds" . }}
{{- if and $had (not (include "oauth-keeper.bringsCrds" .)) }}
{{- $crds := list }}
{{- $becomesGuest := and (include "oauth-keeper.isGuest" .) (eq $had "yes") }}
{{- if not $becomesGuest }}
{{- $crds = include "oauth-keeper.crdsOfRelease" (list . $had) | fromJsonArray }}
{{- end }}
{{- if or $becomesGuest (and (include "oauth-keeper.isGuest" .) $crds) }}
{{- fail "crds.enabled=false in a release with watchNamespaces would take the admission policy and the roles for users away with the CRDs. To leave the CRDs as they are, set crds.upgrade=false in its place; if another release is to have them, do so first, and set crds.enabled=false in the next upgrade" }}
{{- end }}
{{- $lost := list }}
{{- $release := .Release.Name }}
{{- $namespace := .Release.Namespace }}
{{- range $crds }}
{{- if ne (get .annotations "helm.sh/resource-policy") "keep" }}
{{- $lost = append $lost .name }}
{{- $release = get .annotations "meta.helm.sh/release-name" | default $release }}
{{- $namespace = get .annotations "meta.helm.sh/release-namespace" | default $namespace }}
{{- end }}
{{- end }}
{{- with $lost }}
{{- $value := ternary "crds.upgrade" "crds.enabled" $.Values.crds.enabled }}
{{- fail (printf "%s must not be false yet: Helm would delete %s, and all credentials with them, as these CRDs lack the annotation helm.sh/resource-policy: keep in the cluster, by which Helm goes. Upgrade the release %s in the namespace %s with crds.keep=true and no other change first, which writes it, and with %s=false after that" $value (join ", " .) $release $namespace $value) }}
{{- end }}
{{- end }}
{{- end }}
