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
{{- fail (printf "%s (%s) must be %s" (first .) $address (last .)) }}
{{- end }}
{{- /* Newer versions of Kubernetes refuse these. */}}
{{- if regexMatch "(?i)^[0:]*:ffff:([0-9]+[.].*|[^:]+:[^:]+)$" $address }}
{{- fail (printf "%s (%s) must not be an IPv4 address in the form of IPv6: write the IPv4 address as such" (first .) $address) }}
{{- end }}
{{- end }}

{{/* What the admin server listens on; an IPv6 address is in brackets there, as a port follows. */}}
{{- define "oauth-keeper.validateAdminHost" -}}
{{- $host := .Values.admin.host }}
{{- $address := regexReplaceAll "^\\[(.*:.*)\\]$" $host "${1}" }}
{{- $what := "an IP address of the pod, as 0.0.0.0 (all of them) or, in brackets, [::]" }}
{{- if and (eq $address $host) (contains ":" $host) }}
{{- fail (printf "admin.host (%s) must be %s" $host $what) }}
{{- end }}
{{- include "oauth-keeper.validateIp" (list "admin.host" $address $what) }}
{{- if regexMatch "^(127[.]|0*1$)" (regexReplaceAll "^[0:]+:" $address "") }}
{{- fail (printf "admin.host (%s) must not be a loopback address: the kubelet's probes do not reach it. 0.0.0.0 and [::] are all addresses of the pod" $host) }}
{{- end }}
{{- end }}

{{- define "oauth-keeper.validateAddresses" -}}
{{- include "oauth-keeper.validateAdminHost" . }}
{{- $nameservers := (.Values.dnsConfig | default dict).nameservers | default list }}
{{- if and (eq (.Values.dnsPolicy | default "") "None") (not $nameservers) }}
{{- fail "dnsConfig.nameservers must be set when dnsPolicy is None: no name could be looked up" }}
{{- end }}
{{- if gt (len $nameservers) 3 }}
{{- fail (printf "dnsConfig.nameservers must not have more than three, and has %d: Kubernetes takes no more" (len $nameservers)) }}
{{- end }}
{{- range $index, $address := $nameservers }}
{{- include "oauth-keeper.validateIp" (list (printf "dnsConfig.nameservers[%d]" $index) $address "the IP address of a name server, as 10.0.0.10 or fd00::a") }}
{{- end }}
{{- $aliases := list }}
{{- range $index, $alias := .Values.hostAliases }}
{{- if has $alias.ip $aliases }}
{{- fail (printf "hostAliases[%d].ip (%s) must not be that of another entry: put the names of both into one" $index $alias.ip) }}
{{- end }}
{{- $aliases = append $aliases $alias.ip }}
{{- include "oauth-keeper.validateIp" (list (printf "hostAliases[%d].ip" $index) $alias.ip "an IP address, as 10.0.0.10 or fd00::a") }}
{{- end }}
{{- range $index, $rule := .Values.networkPolicy.extraEgress }}
{{- range $number, $port := $rule.ports }}
{{- if and $port.endPort (kindIs "string" $port.port) }}
{{- fail (printf "networkPolicy.extraEgress[%d].ports[%d].port (%s) must be a number where endPort is set: a port with a name is one alone" $index $number $port.port) }}
{{- end }}
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

{{/* A network of a value: (list NAME NETWORK). */}}
{{- define "oauth-keeper.validateNetworkOf" -}}
{{- $network := last . | splitList "/" }}
{{- include "oauth-keeper.validateIp" (list (first .) (first $network) "a network whose address is an IP address, as 10.0.0.0/8 or fd00::/8") }}
{{- $bits := include "oauth-keeper.bits" (first $network) }}
{{- if contains "1" (trimPrefix (include "oauth-keeper.prefix" $network) $bits) }}
{{- fail (printf "%s (%s) must not have bits set behind its length, as 10.0.0.0/8 and fd00::/8 have none" (first .) (last .)) }}
{{- end }}
{{- end }}

{{/* Whether a network is a part of another and not all of it: (list PART WHOLE). */}}
{{- define "oauth-keeper.isPartOf" -}}
{{- $part := first . | splitList "/" }}
{{- $whole := last . | splitList "/" }}
{{- if and (eq (contains ":" (first $part)) (contains ":" (first $whole))) (gt (last $part | atoi) (last $whole | atoi)) }}
{{- if hasPrefix (include "oauth-keeper.prefix" $whole) (include "oauth-keeper.bits" (first $part)) }}true{{ end }}
{{- end }}
{{- end }}

{{/* The bits that all addresses of a network have: (list ADDRESS LENGTH). */}}
{{- define "oauth-keeper.prefix" -}}
{{- substr 0 (last . | atoi) (include "oauth-keeper.bits" (first .)) }}
{{- end }}

{{/* An IP address as its 32 or 128 bits. */}}
{{- define "oauth-keeper.bits" -}}
{{- $ipv4 := regexFind "[0-9]+([.][0-9]+){3}$" . }}
{{- $tail := "" }}
{{- range splitList "." $ipv4 | compact }}
{{- $tail = printf "%s%08b" $tail (atoi .) }}
{{- end }}
{{- $sides := list }}
{{- range trimSuffix $ipv4 . | splitList "::" }}
{{- $side := "" }}
{{- range splitList ":" . | compact }}
{{- $side = printf "%s%016b" $side (printf "0x%s" . | int64) }}
{{- end }}
{{- $sides = append $sides $side }}
{{- end }}
{{- $tail = printf "%s%s" (rest $sides | join "") $tail }}
{{- $between := 0 }}
{{- if contains "::" . }}
{{- $between = sub 128 (printf "%s%s" (first $sides) $tail | len) }}
{{- end }}
{{- printf "%s%s%s" (first $sides) (repeat (int $between) "0") $tail }}
{{- end }}
