{{/* Names and labels. */}}

{{- define "windlass.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "windlass.fullname" -}}
{{- $name := include "windlass.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "windlass.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "windlass.fullname" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "windlass.leaseName" -}}
{{- default (include "windlass.fullname" .) .Values.leaderElection.leaseName -}}
{{- end -}}

{{- define "windlass.leaseNamespace" -}}
{{- default .Release.Namespace .Values.leaderElection.leaseNamespace -}}
{{- end -}}

{{- define "windlass.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods: never changes, since a Deployment's selector cannot. */}}
{{- define "windlass.selector" -}}
app.kubernetes.io/name: {{ include "windlass.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "windlass.labels" -}}
{{- $own := dict
    "app.kubernetes.io/name" (include "windlass.name" .)
    "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/component" "controller"
    "app.kubernetes.io/version" .Chart.AppVersion
    "app.kubernetes.io/managed-by" .Release.Service
    "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{/* metadata of an object. Call with a dict: root, and as needed name, namespace, labels, annotations. */}}
{{- define "windlass.metadata" -}}
{{- $root := .root -}}
metadata:
  name: {{ default (include "windlass.fullname" $root) .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- toYaml (merge (dict) (include "windlass.labels" $root | fromYaml) (default dict .labels)) | nindent 4 }}
  {{- with merge (dict) (default dict .annotations) $root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
