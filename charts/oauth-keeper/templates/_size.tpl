{{/* A quantity of Kubernetes as a number; that of bytes below without its fraction. */}}
{{- define "oauth-keeper.amount" -}}
{{- $number := regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" (toString .) }}
{{- $unit := trimPrefix $number (toString .) }}
{{- $factor := ternary 0.001 1.0 (eq $unit "m") }}
{{- range $power, $prefix := list "k" "M" "G" "T" "P" "E" }}
{{- if or (eq $unit $prefix) (eq $unit (printf "%si" (upper $prefix))) }}
{{- range until (int (add $power 1)) }}
{{- $factor = mulf $factor (ternary 1024.0 1000.0 (hasSuffix "i" $unit)) }}
{{- end }}
{{- end }}
{{- end }}
{{- mulf (float64 $number) $factor | printf "%f" }}
{{- end }}

{{- define "oauth-keeper.bytes" -}}
{{- include "oauth-keeper.amount" . | float64 | int64 }}
{{- end }}

{{/* How many of that many pods a number or a percentage is. Kubernetes rounds up. */}}
{{- define "oauth-keeper.pods" -}}
{{- $pods := last . }}
{{- with toString (first .) }}
{{- if hasSuffix "%" . }}{{ divf (mulf (trimSuffix "%" . | float64) $pods) 100.0 | ceil | int }}{{ else }}{{ int . }}{{ end }}
{{- end }}
{{- end }}

{{/* A duration of Prometheus. */}}
{{- define "oauth-keeper.milliseconds" -}}
{{- $factors := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+(ms|[smhdwy])" . -1 }}
{{- $sum = add $sum (mul (regexFind "^[0-9]+" .) (get $factors (regexFind "[a-z]+$" .))) }}
{{- end }}
{{- $sum }}
{{- end }}
