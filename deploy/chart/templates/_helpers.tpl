{{/* Of a component: its labels. "component" is controller or speaker. */}}
{{- define "ovn-vip.labels" -}}
{ app.kubernetes.io/name: ovn-vip, app.kubernetes.io/component: {{ . }} }
{{- end }}

{{- define "ovn-vip.podMeta" -}}
labels:
  app.kubernetes.io/name: ovn-vip
  app.kubernetes.io/component: {{ .component }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := .values.podAnnotations | default dict }}
{{- if and .root.Values.monitoring.podAnnotations (eq .root.Values.http.bind "all") }}
{{- $annotations = merge (dict) $annotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString .port)) }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ovn-vip.image" -}}
{{- $image := .Values.image -}}
image: {{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end }}

{{/* The flags of a Pod that takes everything of ours out. */}}
{{- define "ovn-vip.removeArgs" -}}
- --yes
- --log={{ .root.Values.log.level }}
- --log-format={{ .root.Values.log.format }}
- --http={{ if eq .root.Values.http.bind "localhost" }}127.0.0.1{{ end }}:{{ .port }}
{{- end }}

{{/* The flags that controller and speaker share. */}}
{{- define "ovn-vip.args" -}}
- --log={{ .root.Values.log.level }}
- --log-format={{ .root.Values.log.format }}
- --http={{ if eq .root.Values.http.bind "localhost" }}127.0.0.1{{ end }}:{{ .port }}
{{- if .root.Values.http.metricsPerVip }}
- --metrics-per-vip
{{- end }}
- --exclude-ips={{ .root.Values.policy.excludeIps }}
{{- with .root.Values.policy.loadBalancerClass }}
- {{ printf "--load-balancer-class=%s" . | quote }}
{{- end }}
{{- with .root.Values.policy.metallbNamespace }}
- --metallb-namespace={{ . }}
{{- end }}
{{- end }}

{{/* Who gives out addresses; YAML takes a bare off for false. */}}
{{- define "ovn-vip.allocate" -}}
{{- ternary "off" (toString .Values.allocate) (eq (toString .Values.allocate) "false") -}}
{{- end }}

{{- define "ovn-vip.probes" -}}
{{- $host := eq .root.Values.http.bind "localhost" -}}
{{- if and $host (eq .component "controller") (not .values.hostNetwork) -}}
{{- fail "\n\ncontroller.hostNetwork=false needs http.bind=all: nobody, not even the kubelet, could reach the controller's pages.\n" -}}
{{- end -}}
livenessProbe:
  httpGet: { path: /healthz, port: {{ .port | default "http" }}{{ if $host }}, host: 127.0.0.1{{ end }} }
  {{- toYaml .values.livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: { path: /readyz, port: {{ .port | default "http" }}{{ if $host }}, host: 127.0.0.1{{ end }} }
  periodSeconds: 5
{{- end }}

{{/* Whether there is a cluster to ask: `helm template` and `helm lint` have none, and every cluster has this namespace. */}}
{{- define "ovn-vip.cluster" -}}
{{- if lookup "v1" "Namespace" "" "default" }}true{{ end }}
{{- end }}

{{/* 2, or 1 where fewer than 2 nodes can run a controller: its port is the node's, so a second Pod would wait for ever. */}}
{{- define "ovn-vip.controllerReplicas" -}}
{{- if ne (toString .Values.controller.replicas) "auto" -}}
{{- int .Values.controller.replicas -}}
{{- else -}}
{{- $fit := 0 -}}
{{- range (lookup "v1" "Node" "" "").items -}}
{{- if include "ovn-vip.fits" (dict "node" . "pod" $.Values.controller) -}}{{- $fit = add1 $fit -}}{{- end -}}
{{- end -}}
{{- if and (include "ovn-vip.cluster" .) (lt (int $fit) 2) -}}1{{- else -}}2{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether a Pod's selector and tolerations suit a Node; what Kubernetes itself taints passes by. */}}
{{- define "ovn-vip.fits" -}}
{{- $no := false -}}
{{- $labels := .node.metadata.labels | default dict -}}
{{- range $key, $value := .pod.nodeSelector -}}
{{- if ne (get $labels $key | toString) $value -}}{{- $no = true -}}{{- end -}}
{{- end -}}
{{- range $taint := .node.spec.taints -}}
{{- if and (ne $taint.effect "PreferNoSchedule") (not (hasPrefix "node.kubernetes.io/" $taint.key)) -}}
{{- $tolerated := false -}}
{{- range $.pod.tolerations -}}
{{- if and (or (not .key) (eq .key $taint.key)) (or (not .effect) (eq .effect $taint.effect)) (or (eq (.operator | default "Equal") "Exists") (eq (.value | default "") ($taint.value | default ""))) -}}
{{- $tolerated = true -}}
{{- end -}}
{{- end -}}
{{- if not $tolerated -}}{{- $no = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $no }}true{{ end -}}
{{- end }}

{{- define "ovn-vip.admission" -}}
{{- if eq (toString .Values.admissionPolicy) "auto" -}}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version }}true{{ end -}}
{{- else if eq (toString .Values.admissionPolicy) "true" -}}true{{- end -}}
{{- end }}

{{- define "ovn-vip.scc" -}}
{{- if eq (toString .Values.openshift.scc) "auto" -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" }}true{{ end -}}
{{- else if eq (toString .Values.openshift.scc) "true" -}}true{{- end -}}
{{- end }}
