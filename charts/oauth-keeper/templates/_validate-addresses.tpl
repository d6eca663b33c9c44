{{/* Addresses and networks, which a schema could only call wrong. */}}

{{- define "oauth-keeper.isIp" -}}
{{- $ipv4 := "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])" }}
{{- if regexMatch (printf "^%s$" $ipv4) . }}true
{{- else }}
{{- /* An IPv4 address at the end stands for two groups. */}}
{{- $groups := regexReplaceAll (printf ":%s$" $ipv4) . ":0:0" }}
{{- $group := "[0-9a-fA-F]{1,4}" }}
{{- if regexMatch (printf "^(%s:){7}%s$" $group $group) $groups }}true
{{- else if regexMatch (printf "^(%s(:%s)*)?::(%s(:%s)*)?$" $group $group $group $group) $groups }}
{{- if lt (len (regexFindAll $group $groups -1)) 8 }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* An address of a value: (list NAME ADDRESS WHAT). */}}
{{- define "oauth-keeper.validateIp" -}}
{{- $address := index . 1 }}
{{- if not (include "oauth-keeper.isIp" $address) }}
{{- fail (printf "%s (%s) must be %s, as 10.0.0.10 or fd00::a" (first .) $address (last .)) }}
{{- end }}
{{- /* Newer versions of Kubernetes refuse these. */}}
{{- if regexMatch "(?i)^[0:]*:ffff:([0-9]+[.].*|[^:]+:[^:]+)$" $address }}
{{- fail (printf "%s (%s) must not be an IPv4 address in the form of IPv6: write the IPv4 address as such" (first .) $address) }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateAddresses" -}}
{{- $nameservers := (.Values.dnsConfig | default dict).nameservers | default list }}
{{- if and (eq (.Values.dnsPolicy | default "") "None") (not $nameservers) }}
{{- fail "dnsConfig.nameservers must be set when dnsPolicy is None: no name could be looked up" }}
{{- end }}
{{- if gt (len $nameservers) 3 }}
{{- fail (printf "dnsConfig.nameservers must not have more than three, and has %d: Kubernetes takes no more" (len $nameservers)) }}
{{- end }}
{{- range $index, $address := $nameservers }}
{{- include "oauth-keeper.validateIp" (list (printf "dnsConfig.nameservers[%d]" $index) $address "the IP address of a name server") }}
{{- end }}
{{- $aliases := list }}
{{- range $index, $alias := .Values.hostAliases }}
{{- if has $alias.ip $aliases }}
{{- fail (printf "hostAliases[%d].ip (%s) must not be that of another entry: put the names of both into one" $index $alias.ip) }}
{{- end }}
{{- $aliases = append $aliases $alias.ip }}
{{- include "oauth-keeper.validateIp" (list (printf "hostAliases[%d].ip" $index) $alias.ip "an IP address") }}
{{- end }}
{{- range $index, $rule := .Values.networkPolicy.extraEgress }}
{{- range $number, $port := $rule.ports }}
{{- if and $port.endPort (lt (int $port.endPort) (int $port.port)) }}
{{- fail (printf "networkPolicy.extraEgress[%d].ports[%d].endPort (%v) must not be below port (%v)" $index $number $port.endPort $port.port) }}
{{- end }}
{{- end }}
{{- include "oauth-keeper.validatePeers" (list (printf "networkPolicy.extraEgress[%d].to" $index) $rule.to) }}
{{- end }}
{{- include "oauth-keeper.validatePeers" (list "networkPolicy.from" .Values.networkPolicy.from) }}
{{- end }}

{{/* The NetworkPolicyPeers of a value: (list NAME PEERS). */}}
{{- define "oauth-keeper.validatePeers" -}}
{{- $name := first . }}
{{- range $index, $peer := last . }}
{{- with $peer.ipBlock }}
{{- if or (hasKey $peer "podSelector") (hasKey $peer "namespaceSelector") }}
{{- fail (printf "%s[%d] must not have a selector beside ipBlock: make two peers of them, each an entry of the list" $name $index) }}
{{- end }}
{{- $cidr := .cidr }}
{{- include "oauth-keeper.validateNetworkOf" (list (printf "%s[%d].ipBlock.cidr" $name $index) $cidr) }}
{{- range $number, $except := .except }}
{{- include "oauth-keeper.validateNetworkOf" (list (printf "%s[%d].ipBlock.except[%d]" $name $index $number) $except) }}
{{- if not (include "oauth-keeper.isPartOf" (list $except $cidr)) }}
{{- fail (printf "%s[%d].ipBlock.except[%d] (%s) must be a part of ipBlock.cidr (%s): what is outside of it is not let through anyway" $name $index $number $except $cidr) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A network of a value: (list NAME NETWORK). Of IPv6 the bits behind its length are not looked at. */}}
{{- define "oauth-keeper.validateNetworkOf" -}}
{{- $address := last . | splitList "/" | first }}
{{- include "oauth-keeper.validateIp" (list (first .) $address "a network whose address is an IP address") }}
{{- if not (contains ":" $address) }}
{{- if mod (include "oauth-keeper.ipv4Number" $address) (last . | splitList "/" | last | atoi | include "oauth-keeper.ipv4Size") }}
{{- fail (printf "%s (%s) must not have bits set behind its length, as 10.0.0.0/8 has none" (first .) (last .)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whether a network is a part of another and not all of it: (list PART WHOLE). Of IPv6 the length alone is looked at. */}}
{{- define "oauth-keeper.isPartOf" -}}
{{- $part := first . | splitList "/" }}
{{- $whole := last . | splitList "/" }}
{{- $length := last $whole | atoi }}
{{- if gt (last $part | atoi) $length }}
{{- if and (contains ":" (first $part)) (contains ":" (first $whole)) }}true
{{- else if not (or (contains ":" (first $part)) (contains ":" (first $whole))) }}
{{- $size := include "oauth-keeper.ipv4Size" $length }}
{{- if eq (div (include "oauth-keeper.ipv4Number" (first $part)) $size) (div (include "oauth-keeper.ipv4Number" (first $whole)) $size) }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* How many addresses a network of that length has. */}}
{{- define "oauth-keeper.ipv4Size" -}}
{{- $size := 1 }}
{{- range until (sub 32 . | int) }}
{{- $size = mul 2 $size }}
{{- end }}
{{- $size }}
{{- end }}

{{- define "oauth-keeper.ipv4Number" -}}
{{- $number := 0 }}
{{- range splitList "." . }}
{{- $number = add (mul 256 $number) (atoi .) }}
{{- end }}
{{- $number }}
{{- end }}
