{{/* One preset as an object. Takes "root", "name" and "entry". */}}
{{- define "presets.object" -}}
{{- $entry := .entry | default dict }}
{{- $file := include "presets.read" . | fromYaml }}
{{- $kind := $entry.kind | default "ClusterOAuthProvider" }}
{{- $spec := deepCopy $file.spec }}
{{- include "presets.merge" (dict "into" $spec "from" ($entry.spec | default dict)) }}
{{- $spec = include "presets.fill" (dict "name" .name "entry" $entry "file" $file "spec" $spec) | fromJson }}
{{- with $entry.namespaces }}
{{- if ne $kind "ClusterOAuthProvider" }}
{{- fail (printf "presets.%s.namespaces goes with kind ClusterOAuthProvider; an %s is for its own namespace" $.name $kind) }}
{{- end }}
{{- $_ := set $spec "namespaces" . }}
{{- end }}
apiVersion: {{ $file.apiVersion }}
kind: {{ $kind }}
metadata:
  name: {{ .name }}
  {{- if eq $kind "OAuthProvider" }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "presets.labels" .root | nindent 4 }}
  annotations:
    {{- toYaml $file.metadata.annotations | nindent 4 }}
spec:
  {{- toYaml $spec | nindent 2 }}
{{- end }}

{{/* The text of the preset. */}}
{{- define "presets.read" -}}
{{- $preset := (.entry | default dict).preset | default .name }}
{{- $text := .root.Files.Get (printf "files/presets/%s.yaml" $preset) }}
{{- if not $text }}
{{- $known := list }}
{{- range $path, $_ := .root.Files.Glob "files/presets/*.yaml" }}
{{- $known = append $known (base $path | trimSuffix ".yaml") }}
{{- end }}
{{- fail (printf "presets.%s is no preset; presets.%s.preset must name one of: %s" .name .name (join ", " $known)) }}
{{- end }}
{{- $text }}
{{- end }}

{{/* Puts the fields of "from" into "into", whose own they replace. Null takes a field out. */}}
{{- define "presets.merge" -}}
{{- $into := .into }}
{{- range $field, $value := .from }}
{{- if kindIs "invalid" $value }}
{{- $_ := unset $into $field }}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $into $field)) }}
{{- include "presets.merge" (dict "into" (get $into $field) "from" $value) }}
{{- else }}
{{- $_ := set $into $field $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* The spec as JSON, its placeholders filled in: what begins with "your-", and hosts under example.com. */}}
{{- define "presets.fill" -}}
{{- $own := regexFindAll "your-[a-z]+(-[a-z]+)*|[a-z0-9]+\\.example\\.com" (toJson .file.spec) -1 | uniq }}
{{- $given := .entry.placeholders | default dict }}
{{- $name := .name }}
{{- range $placeholder, $_ := $given }}
{{- if not (has $placeholder $own) }}
{{- fail (printf "presets.%s.placeholders: the preset has no %s; it has: %s" $name $placeholder (join ", " $own | default "none")) }}
{{- end }}
{{- end }}
{{- $text := toJson .spec }}
{{- $empty := list }}
{{- range $own }}
{{- if contains . $text }}
{{- $filling := get $given . }}
{{- if or (not $filling) (eq $filling .) }}
{{- $empty = append $empty . }}
{{- else }}
{{- $text = replace . $filling $text }}
{{- end }}
{{- end }}
{{- end }}
{{- if $empty }}
{{- fail (printf "presets.%s.placeholders must say what stands in place of: %s" .name (join ", " $empty)) }}
{{- end }}
{{- $text }}
{{- end }}

{{- define "presets.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* On a cluster, its kinds are known with their versions; what is rendered without one can't be asked. */}}
{{- define "presets.checkKinds" -}}
{{- $known := .Capabilities.APIVersions }}
{{- if $known.Has "v1/Secret" }}
{{- range list "OAuthProvider" "ClusterOAuthProvider" }}
{{- if not ($known.Has (printf "oauth-keeper.dev/v1alpha1/%s" .)) }}
{{- fail (printf "the cluster does not know the kind %s: install the chart oauth-keeper first, which brings its CustomResourceDefinition" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
