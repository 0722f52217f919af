{{/*
The environment of kube-ovn-controller, as YAML: where it says that the databases are. Empty where there is no cluster to
ask, as for `helm template`.
*/}}
{{- define "ovn-vip.kubeOvn" -}}
{{- $found := dict -}}
{{- if include "ovn-vip.cluster" . -}}
{{- $name := .Values.ovn.deployment -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Values.namespace $name -}}
{{- if $deployment -}}
{{- range $deployment.spec.template.spec.containers -}}
{{- range .env -}}{{- $_ := set $found .name (.value | default "" | trim) -}}{{- end -}}
{{- end -}}
{{- else if not (or .Values.ovn.northbound .Values.ovn.databaseIPs) -}}
{{- fail (printf "\n\nno Deployment %q in namespace %q: is Kube-OVN installed there?\n  another namespace:    --set namespace=NAME\n  another Deployment:   --set ovn.deployment=NAME\n  an OVN without Kube-OVN's controller: --set ovn.northbound=tcp:HOST:6641,ovn.southbound=tcp:HOST:6642\n" $name .Values.namespace) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end }}

{{/* Whether the databases speak TLS. */}}
{{- define "ovn-vip.tls" -}}
{{- $asked := toString .Values.ovn.tls -}}
{{- if eq $asked "auto" -}}
{{- $kubeOvn := include "ovn-vip.kubeOvn" . | fromYaml -}}
{{- if eq (get $kubeOvn "ENABLE_SSL") "true" }}true{{ end -}}
{{- else if eq $asked "true" -}}true{{- end -}}
{{- end }}

{{/* Of a list of addresses without ports: what OVN's clients dial. */}}
{{- define "ovn-vip.members" -}}
{{- $members := list -}}
{{- range splitList "," .ips -}}{{- $members = append $members (printf "%s:[%s]:%s" $.scheme (trim .) $.port) -}}{{- end -}}
{{- join "," $members -}}
{{- end }}

{{/*
One database's address: what was given; else what kube-ovn-controller has, in its own order; else its Service, which the
kubelet names in every Pod of its namespace. "name" is NB or SB.
*/}}
{{- define "ovn-vip.database" -}}
{{- $kubeOvn := include "ovn-vip.kubeOvn" .root | fromYaml -}}
{{- $scheme := ternary "ssl" "tcp" (eq (include "ovn-vip.tls" .root) "true") -}}
{{- $port := get $kubeOvn (printf "KUBE_OVN_%s_PORT" .name) | default .port -}}
{{- if .given -}}
{{- .given -}}
{{- else if .root.Values.ovn.databaseIPs -}}
{{- include "ovn-vip.members" (dict "ips" .root.Values.ovn.databaseIPs "scheme" $scheme "port" .port) -}}
{{- else if get $kubeOvn (printf "OVN_%s_ADDR" .name) -}}
{{- get $kubeOvn (printf "OVN_%s_ADDR" .name) -}}
{{- else if get $kubeOvn "OVN_DB_IPS" -}}
{{- include "ovn-vip.members" (dict "ips" (get $kubeOvn "OVN_DB_IPS") "scheme" $scheme "port" $port) -}}
{{- else -}}
{{- printf "%s:[$(OVN_%s_SERVICE_HOST)]:$(OVN_%s_SERVICE_PORT)" $scheme .name .name -}}
{{- end -}}
{{- end }}

{{- define "ovn-vip.databases" -}}
- name: OVN_NB_DB
  value: {{ include "ovn-vip.database" (dict "root" . "name" "NB" "given" .Values.ovn.northbound "port" "6641") | quote }}
- name: OVN_SB_DB
  value: {{ include "ovn-vip.database" (dict "root" . "name" "SB" "given" .Values.ovn.southbound "port" "6642") | quote }}
{{- end }}
