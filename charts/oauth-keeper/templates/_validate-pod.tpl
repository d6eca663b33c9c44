{{/* What the API server would refuse of the pods, or of each pod later, said before anything is changed. */}}
{{- define "oauth-keeper.validatePod" -}}
{{- include "oauth-keeper.validateArgs" . }}
{{- include "oauth-keeper.validateEnv" . }}
{{- include "oauth-keeper.validateUser" . }}
{{- include "oauth-keeper.validateMounts" . }}
{{- include "oauth-keeper.validateTolerations" . }}
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
{{- /* The notes warn of the values, and would not of these. */}}
{{- with get (dict "--allow-http" "allowHttp" "--allow-loopback" "allowLoopback") $flag }}
{{- fail (printf "extraArgs must not have %s: use %s" $flag .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateEnv" -}}
{{- range $index, $variable := .Values.extraEnv }}
{{- if has $variable.name (list "POD_UID" "POD_NAME" "POD_NAMESPACE") }}
{{- fail (printf "extraEnv[%d].name must not be %s: it is set by the chart" $index $variable.name) }}
{{- end }}
{{- with get (dict "OAUTH_KEEPER_ALLOW_HTTP" "allowHttp" "OAUTH_KEEPER_ALLOW_LOOPBACK" "allowLoopback") $variable.name }}
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
