{{/*
What of Reloader's values has no counterpart: refused, if it is set, with what to do instead. The names
themselves are checked by values.schema.json.
*/}}
{{- define "windlass.reloader.refuse" -}}
{{- $r := .Values.reloader -}}
{{- $instead := dict
    "enablePProf" "there is no profiler; take it out"
    "enableMetricsByNamespace" "metrics have no label for the namespace, so that their number is bounded; Events and the status of policies are by namespace; take it out"
    "enableCSIIntegration" "SecretProviderClass is not served; keep Reloader for these workloads, or sync to Secrets"
    "webhookUrl" "there is no webhook in place of a restart; set strategy Ignore in a policy and notifications.cloudevents to be told"
    "custom_annotations" "other names of annotations are not read; use those of Windlass or Reloader, or select the workloads by a policy"
    "matchLabels" "labels of the selector are fixed; set podLabels"
    "verticalPodAutoscaler" "the chart has none; memory is bounded by design, see resources"
    "volumes" "Windlass mounts nothing; take it out"
    "volumeMounts" "Windlass mounts nothing; take it out"
    "service" "set service"
    "rbac" "set rbac"
    "serviceAccount" "set serviceAccount"
    "serviceMonitor" "set serviceMonitor"
    "podMonitor" "set podMonitor"
    "podDisruptionBudget" "set podDisruptionBudget, which is on by default"
    "netpol" "set networkPolicy, which is on by default" -}}
{{- range $name, $advice := $instead -}}
{{- if get $r $name -}}
{{- fail (printf "reloader.%s has no counterpart: %s" $name $advice) -}}
{{- end -}}
{{- end -}}
{{- $deployment := dict
    "replicas" "replicas"
    "nodeSelector" "nodeSelector"
    "affinity" "affinity or podAntiAffinity"
    "tolerations" "tolerations"
    "topologySpreadConstraints" "topologySpreadConstraints"
    "annotations" "deploymentAnnotations"
    "labels" "commonLabels"
    "image" "image"
    "imagePullSecrets" "imagePullSecrets"
    "livenessProbe" "livenessProbe"
    "readinessProbe" "readinessProbe"
    "resources" "resources"
    "pod" "podAnnotations"
    "priorityClassName" "priorityClassName" -}}
{{- range $name, $value := $r.deployment -}}
{{- if $value -}}
{{- if eq $name "env" -}}
{{- /* ALERT_ON_RELOAD and what belongs to it is here; an empty part says nothing. */ -}}
{{- range $part, $variables := $value -}}
{{- if $variables -}}
{{- fail (printf "reloader.deployment.env.%s is not supported: set notifications for alerts (ALERT_…), extraEnv for others" $part) -}}
{{- end -}}
{{- end -}}
{{- else if hasKey $deployment $name -}}
{{- fail (printf "reloader.deployment.%s is not supported: set %s" $name (get $deployment $name)) -}}
{{- else -}}
{{- fail (printf "reloader.deployment.%s is not supported: remove it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
