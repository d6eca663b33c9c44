{{/* What the API server would refuse of the pods, or of each pod later, said before anything is changed. */}}
{{- define "oauth-keeper.validatePod" -}}
{{- include "oauth-keeper.validateArgs" . }}
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
