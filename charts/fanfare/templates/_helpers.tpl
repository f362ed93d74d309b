{{- define "fanfare.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- /* At most 52 characters: a StatefulSet's pods carry its name and a hash in one label. */}}
{{- define "fanfare.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* What selectors and the immutable claim template use: nothing here may ever change. */}}
{{- define "fanfare.selectorLabels" -}}
app.kubernetes.io/name: {{ include "fanfare.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fanfare.labels" -}}
{{- include "fanfare.labelsWith" (dict "root" . "extra" dict) }}
{{- end }}

{{- /* The labels of an object. Takes {root, extra}; neither extra nor commonLabels can replace one of the chart's own. */}}
{{- define "fanfare.labelsWith" -}}
{{- $own := include "fanfare.selectorLabels" .root | fromYaml }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $own "app.kubernetes.io/part-of" "fanfare" }}
{{- merge $own .extra .root.Values.commonLabels | toYaml }}
{{- end }}

{{- define "fanfare.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "fanfare.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "fanfare.image" -}}
{{- $name := list .Values.image.registry .Values.image.repository | compact | join "/" }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* A list of namespaces, comma-separated, each once, with the release's own filled in. Takes {root, list}. */}}
{{- define "fanfare.namespaceList" -}}
{{- $names := list }}
{{- range .list }}
{{- $names = append $names (replace "{{ .Release.Namespace }}" $.root.Release.Namespace .) }}
{{- end }}
{{- $names | uniq | join "," }}
{{- end }}

{{- /* The namespaces that are watched, comma-separated; empty means all. */}}
{{- define "fanfare.watched" -}}
{{- $list := .Values.watchNamespaces }}
{{- if and (not $list) (eq .Values.rbac.mode "namespaced") }}
{{- $list = list .Release.Namespace }}
{{- end }}
{{- include "fanfare.namespaceList" (dict "root" . "list" $list) }}
{{- end }}

{{- /* What Fanfare may do with its own kinds, in the cluster or in one namespace. */}}
{{- define "fanfare.objectRules" -}}
- apiGroups: [fanfare.dev]
  resources: [publishtargets, alertroutes]
  verbs: [list, watch]
- apiGroups: [fanfare.dev]
  resources: [publishtargets/status, alertroutes/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "fanfare.subject" -}}
- kind: ServiceAccount
  name: {{ include "fanfare.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* "true" if an object of the prometheus-operator is wanted. Takes {root, mode, kind}. */}}
{{- define "fanfare.monitoring" -}}
{{- if eq .mode "always" -}}
true
{{- else if and (eq .mode "auto") (.root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind)) -}}
true
{{- end }}
{{- end }}
