{{/* The command line: each flag that a value is for. A JSON string each, so that no value can be taken for YAML. */}}
{{- define "windlass.arguments" -}}
{{- $v := .Values -}}
{{- $s := include "windlass.settings" . | fromJson -}}
{{- $a := list "controller" -}}
{{- with $s.namespaces }}{{ $a = append $a (printf "--namespaces=%s" (join "," .)) }}{{ end -}}
{{- /* Roles that are made elsewhere may allow more than these values say. */ -}}
{{- if and $s.namespaces (or $v.rbac.clusterPolicies $v.rbac.create) }}{{ $a = append $a (printf "--cluster-policies=%t" $v.rbac.clusterPolicies) }}{{ end -}}
{{- with $s.excludeNamespaces }}{{ $a = append $a (printf "--exclude-namespaces=%s" (join "," .)) }}{{ end -}}
{{- with $s.namespaceSelector }}{{ $a = append $a (printf "--namespace-selector=%s" .) }}{{ end -}}
{{- $a = append $a (printf "--sources=%s" (join "," $s.sources)) -}}
{{- with $s.sourceSelector }}{{ $a = append $a (printf "--source-selector=%s" .) }}{{ end -}}
{{- $a = append $a (printf "--workload-kinds=%s" (join "," $s.workloadKinds)) -}}
{{- range $v.customKinds }}{{ $a = append $a (printf "--workload-kind=%s/%s/%s=%s" .group .version .kind .path) }}{{ end -}}
{{- with $s.compat }}{{ $a = append $a (printf "--compat=%s" (join "," .)) }}{{ end -}}
{{- if $s.autoReloadAll }}{{ $a = append $a "--compat-auto-reload-all=true" }}{{ end -}}
{{- $a = append $a (printf "--on-create=%t" $s.onCreate) -}}
{{- $a = append $a (printf "--on-delete=%t" $s.onDelete) -}}
{{- $a = append $a (printf "--allow-cross-namespace=%t" $v.allowCrossNamespace) -}}
{{- $a = append $a (printf "--settle=%s" $v.settle) -}}
{{- $a = append $a (printf "--flap-limit=%d" (int $v.flapLimit)) -}}
{{- $a = append $a (printf "--max-parallel=%d" (int $v.maxParallel)) -}}
{{- $a = append $a (printf "--write-concurrency=%d" (int $v.writeConcurrency)) -}}
{{- $a = append $a (printf "--agent-concurrency=%d" (int $v.agentConcurrency)) -}}
{{- $a = append $a (printf "--resync=%s" $v.resync) -}}
{{- $a = append $a (printf "--observe-only=%t" $v.observeOnly) -}}
{{- $a = append $a (printf "--leader-election=%t" $v.leaderElection.enabled) -}}
{{- $a = append $a (printf "--lease-name=%s" (include "windlass.leaseName" .)) -}}
{{- with $v.leaderElection.leaseNamespace }}{{ $a = append $a (printf "--lease-namespace=%s" .) }}{{ end -}}
{{- $a = append $a (printf "--lease-duration=%s" $v.leaderElection.leaseDuration) -}}
{{- $a = append $a (printf "--lease-renew-deadline=%s" $v.leaderElection.renewDeadline) -}}
{{- $a = append $a (printf "--lease-retry-period=%s" $v.leaderElection.retryPeriod) -}}
{{- $a = append $a (printf "--admin-address=[::]:%d" (int $v.metrics.port)) -}}
{{- $a = append $a (printf "--log-format=%s" $s.logFormat) -}}
{{- $a = append $a (printf "--log-level=%s" $s.logLevel) -}}
{{- if include "windlass.notifications" . -}}
{{- $a = append $a (printf "--notify-on=%s" (join "," $v.notifications.events)) -}}
{{- $a = append $a (printf "--notify-interval=%s" $v.notifications.interval) -}}
{{- with $v.notifications.cluster }}{{ $a = append $a (printf "--notify-cluster=%s" .) }}{{ end -}}
{{- with $v.notifications.caBundle }}{{ $a = append $a (printf "--notify-ca-file=/etc/windlass/ca-bundle/%s" .key) }}{{ end -}}
{{- end -}}
{{- with $v.tracing.otlpEndpoint }}{{ $a = append $a (printf "--otlp-endpoint=%s" .) }}{{ end -}}
{{- range concat $a $v.extraArgs }}
- {{ toJson . }}
{{- end -}}
{{- end -}}

{{/* The notification channels, as JSON: values of `notifications` with a `url`. */}}
{{- define "windlass.channels" -}}
{{- $channels := list -}}
{{- range $name, $target := .Values.notifications -}}
{{- if kindIs "map" $target -}}
{{- if hasKey $target "url" -}}{{- $channels = append $channels $name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $channels -}}
{{- end -}}

{{/* Not empty if somebody is to be notified. */}}
{{- define "windlass.notifications" -}}
{{- range $name := include "windlass.channels" . | fromJsonArray -}}
{{- $target := get $.Values.notifications $name -}}
{{- if or $target.url $target.secret -}}{{ $name }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* URLs of notifications are secrets: they come by the environment, from a Secret. */}}
{{- define "windlass.environment" -}}
{{- range $name := include "windlass.channels" . | fromJsonArray }}
{{- $target := get $.Values.notifications $name }}
{{- if or $target.url $target.secret }}
- name: WINDLASS_NOTIFY_{{ upper $name }}
  valueFrom:
    secretKeyRef:
      name: {{ default (printf "%s-notifications" (include "windlass.fullname" $)) $target.secret.name }}
      key: {{ default $name $target.secret.key }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
