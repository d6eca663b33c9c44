{{/*
What an upgrade that does not bring the CRDs would take away with them. Helm deletes what the release had and has no longer,
unless the object in the cluster says that it stays, whatever the chart says.
*/}}

{{/*
What tells which parts of the whole the release brought: its Deployment; where that is gone or of an older chart, its account
or a role. Only what this release brings is looked for, as who installs may have no right to the rest.
*/}}
{{- define "oauth-keeper.teller" -}}
{{- $teller := include "oauth-keeper.deployment" . | fromJson }}
{{- $namespace := include "oauth-keeper.namespace" . }}
{{- if and .Values.serviceAccount.create (not (include "oauth-keeper.saysWhatItBrings" $teller)) }}
{{- $teller = lookup "v1" "ServiceAccount" $namespace (include "oauth-keeper.serviceAccountName" .) }}
{{- end }}
{{- if and .Values.rbac.create (not (include "oauth-keeper.saysWhatItBrings" $teller)) }}
{{- $teller = lookup "rbac.authorization.k8s.io/v1" "Role" $namespace (printf "%s-pods" (include "oauth-keeper.fullname" .)) }}
{{- end }}
{{- if and (include "oauth-keeper.isOfRelease" (list . $teller)) (include "oauth-keeper.saysWhatItBrings" $teller) }}{{ toJson $teller }}{{ end }}
{{- end }}

{{/* Whether the release had them before: "yes", "perhaps" where nothing tells, or nothing. */}}
{{- define "oauth-keeper.hadCrds" -}}
{{- if .Release.IsUpgrade }}
{{- with include "oauth-keeper.teller" . }}
{{- if has "crds" (fromJson . | include "oauth-keeper.brought" | splitList ",") }}yes{{ end }}
{{- else }}perhaps{{ end }}
{{- end }}
{{- end }}

{{/*
Those in the cluster that the release had, or has as their annotations say: (list $ WHETHER). Whoever may not get CRDs gets an
error of this look, and beside it nothing but the names of the templates that led there: so one of them is the remedy.
*/}}
{{- define "oauth-keeper.crdsOfRelease" -}}
{{- include "whether this release had CRDs is not known: let someone upgrade it once who may get them, or, if it had none, annotate its Deployment with oauth-keeper.dev/brings=account,rights" . }}
{{- end }}

{{- define "whether this release had CRDs is not known: let someone upgrade it once who may get them, or, if it had none, annotate its Deployment with oauth-keeper.dev/brings=account,rights" -}}
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
