{{/* What the API server would refuse of the pods, or of each pod later, said before anything is changed. */}}
{{- define "oauth-keeper.validatePod" -}}
{{- include "oauth-keeper.validateArgs" . }}
{{- include "oauth-keeper.validateEnv" . }}
{{- include "oauth-keeper.validateUser" . }}
{{- include "oauth-keeper.validateMounts" . }}
{{- include "oauth-keeper.validateVolumes" . }}
{{- include "oauth-keeper.validateContainers" . }}
{{- include "oauth-keeper.validateLifecycle" . }}
{{- include "oauth-keeper.validateTolerations" . }}
{{- include "oauth-keeper.validateSpread" . }}
{{- end }}

{{- define "oauth-keeper.validateArgs" -}}
{{- $own := list }}
{{- range include "oauth-keeper.ownArgs" . | fromYamlArray }}
{{- $own = append $own (first (splitList "=" .)) }}
{{- end }}
{{- range .Values.extraArgs }}
{{- $flag := first (splitList "=" .) }}
{{- if has $flag $own }}
{{- fail (printf "extraArgs must not repeat %s: the chart sets it, by a value of its own" $flag) }}
{{- end }}
{{- /* Rights and notes are made from the values, and would not be from these. */}}
{{- with get (dict "--namespace" "watchNamespaces" "--allow-http" "allowHttp" "--allow-loopback" "allowLoopback") $flag }}
{{- fail (printf "extraArgs must not have %s: use %s" $flag .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateEnv" -}}
{{- $names := list }}
{{- range $index, $variable := .Values.extraEnv }}
{{- if has $variable.name $names }}
{{- fail (printf "extraEnv[%d].name (%s) must not be that of another variable" $index $variable.name) }}
{{- end }}
{{- $names = append $names $variable.name }}
{{- if not (regexMatch "^[ -<>-~]+$" $variable.name) }}
{{- fail (printf "extraEnv[%d].name (%s) must be of printable ASCII characters other than =; what the variable holds goes into value" $index $variable.name) }}
{{- end }}
{{- if and $variable.value $variable.valueFrom }}
{{- fail (printf "extraEnv[%d] takes value or valueFrom, not both: remove one of them" $index) }}
{{- end }}
{{- if has $variable.name (list "POD_UID" "POD_NAME" "POD_NAMESPACE") }}
{{- fail (printf "extraEnv[%d].name must not be %s: it is set by the chart" $index $variable.name) }}
{{- end }}
{{- with get (dict "OAUTH_KEEPER_NAMESPACE" "watchNamespaces" "OAUTH_KEEPER_ALLOW_HTTP" "allowHttp" "OAUTH_KEEPER_ALLOW_LOOPBACK" "allowLoopback") $variable.name }}
{{- fail (printf "extraEnv[%d].name must not be %s: use %s" $index $variable.name .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateUser" -}}
{{- $pod := .Values.podSecurityContext | default dict }}
{{- $container := .Values.securityContext | default dict }}
{{- $user := get (hasKey $container "runAsUser" | ternary $container $pod) "runAsUser" }}
{{- $nonRoot := get (hasKey $container "runAsNonRoot" | ternary $container $pod) "runAsNonRoot" }}
{{- if and (eq (toString $nonRoot) "true") (eq (toString $user) "0") }}
{{- fail "runAsUser must not be 0 where runAsNonRoot is true (podSecurityContext, securityContext): the kubelet would not start the container" }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateMounts" -}}
{{- $journal := include "oauth-keeper.journalDir" . }}
{{- if .Values.journal.enabled }}
{{- range $index, $volume := .Values.extraVolumes }}
{{- if eq $volume.name "journal" }}
{{- fail (printf "extraVolumes[%d].name must not be journal: that is the volume of the chart; or set journal.enabled to false" $index) }}
{{- end }}
{{- end }}
{{- range $index, $mount := .Values.extraVolumeMounts }}
{{- if hasPrefix (print $journal "/") (print (clean $mount.mountPath) "/") }}
{{- fail (printf "extraVolumeMounts[%d].mountPath (%s) must not be in %s, where the journal is; or set journal.enabled to false" $index $mount.mountPath $journal) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateVolumes" -}}
{{- $names := .Values.journal.enabled | ternary (list "journal") list }}
{{- range $index, $volume := .Values.extraVolumes }}
{{- if has $volume.name $names }}
{{- fail (printf "extraVolumes[%d].name (%s) must not be that of another volume" $index $volume.name) }}
{{- end }}
{{- $names = append $names $volume.name }}
{{- end }}
{{- $paths := list }}
{{- range $index, $mount := .Values.extraVolumeMounts }}
{{- if not (has $mount.name $names) }}
{{- fail (printf "extraVolumeMounts[%d].name (%s) must be the name of a volume: extraVolumes has none of that name" $index $mount.name) }}
{{- end }}
{{- if has $mount.mountPath $paths }}
{{- fail (printf "extraVolumeMounts[%d].mountPath (%s) must not be that of another mount" $index $mount.mountPath) }}
{{- end }}
{{- $paths = append $paths $mount.mountPath }}
{{- end }}
{{- range $index, $container := .Values.initContainers }}
{{- range $number, $mount := $container.volumeMounts }}
{{- if not (has $mount.name $names) }}
{{- fail (printf "initContainers[%d].volumeMounts[%d].name (%v) must be the name of a volume: extraVolumes has none of that name" $index $number $mount.name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateContainers" -}}
{{- $names := list "oauth-keeper" }}
{{- range $index, $container := .Values.initContainers }}
{{- if has $container.name $names }}
{{- fail (printf "initContainers[%d].name (%s) must not be that of another container" $index $container.name) }}
{{- end }}
{{- $names = append $names $container.name }}
{{- end }}
{{- with .Values.securityContext }}
{{- if and .privileged (hasKey . "allowPrivilegeEscalation") (not .allowPrivilegeEscalation) }}
{{- fail "securityContext.privileged must not be true where securityContext.allowPrivilegeEscalation is false" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateLifecycle" -}}
{{- $handlers := list "exec" "httpGet" "sleep" "tcpSocket" }}
{{- range $name, $handler := pick (.Values.lifecycle | default dict) "postStart" "preStop" }}
{{- if or (ne (len $handler) 1) (not (has (keys $handler | join ",") $handlers)) }}
{{- fail (printf "lifecycle.%s must have one of %s, and has %s; or leave lifecycle.%s out" $name (join ", " $handlers) (keys $handler | sortAlpha | join ", " | default "none") $name) }}
{{- end }}
{{- if not (kindIs "map" (values $handler | first)) }}
{{- fail (printf "lifecycle.%s.%s must be an object; or leave lifecycle.%s out" $name (keys $handler | first) $name) }}
{{- end }}
{{- end }}
{{- $sleep := dig "preStop" "sleep" "seconds" 0 (.Values.lifecycle | default dict) }}
{{- if ge (int64 $sleep) (int64 .Values.terminationGracePeriodSeconds) }}
{{- fail (printf "lifecycle.preStop.sleep.seconds (%v) must be less than terminationGracePeriodSeconds (%v): no time would be left to finish token requests" $sleep .Values.terminationGracePeriodSeconds) }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateTolerations" -}}
{{- range $index, $toleration := .Values.tolerations }}
{{- $exists := eq (.operator | default "Equal") "Exists" }}
{{- if and (not .key) (not $exists) }}
{{- fail (printf "tolerations[%d] needs a key, or operator Exists, which tolerates all taints" $index) }}
{{- end }}
{{- if and .value $exists }}
{{- fail (printf "tolerations[%d].value is not used with operator Exists; remove it" $index) }}
{{- end }}
{{- if and (hasKey $toleration "tolerationSeconds") (ne (.effect | default "") "NoExecute") }}
{{- fail (printf "tolerations[%d].tolerationSeconds needs effect NoExecute" $index) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateSpread" -}}
{{- $pairs := list }}
{{- range $index, $constraint := .Values.topologySpreadConstraints }}
{{- $pair := list .topologyKey .whenUnsatisfiable }}
{{- if has $pair $pairs }}
{{- fail (printf "topologySpreadConstraints[%d] must not have topologyKey (%s) and whenUnsatisfiable (%s) of another entry: put the two into one" $index .topologyKey .whenUnsatisfiable) }}
{{- end }}
{{- $pairs = append $pairs $pair }}
{{- end }}
{{- end }}
