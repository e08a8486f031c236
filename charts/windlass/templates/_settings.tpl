{{/*
What to work on, as JSON: the values, and what the block `reloader` makes of them.
*/}}
{{- define "windlass.settings" -}}
{{- $v := .Values -}}
{{- $s := dict
    "namespaces" $v.namespaces
    "excludeNamespaces" $v.excludeNamespaces
    "namespaceSelector" $v.namespaceSelector
    "sources" $v.sources
    "sourceSelector" $v.sourceSelector
    "workloadKinds" $v.workloadKinds
    "compat" $v.compat.controllers
    "autoReloadAll" $v.compat.autoReloadAll
    "onCreate" $v.onCreate
    "onDelete" $v.onDelete
    "logFormat" $v.log.format
    "logLevel" $v.log.level
    "openshift" $v.openshift -}}
{{- if $v.reloader -}}
{{- include "windlass.reloader.refuse" . -}}
{{- $r := $v.reloader -}}
{{- $_ := set $s "compat" (append $v.compat.controllers "reloader" | uniq) -}}
{{- if $r.autoReloadAll -}}{{- $_ := set $s "autoReloadAll" true -}}{{- end -}}
{{- if $r.ignoreSecrets -}}{{- $_ := set $s "sources" (without $s.sources "secrets") -}}{{- end -}}
{{- if $r.ignoreConfigMaps -}}{{- $_ := set $s "sources" (without $s.sources "configmaps") -}}{{- end -}}
{{- if $r.ignoreCronJobs -}}{{- $_ := set $s "workloadKinds" (without $s.workloadKinds "CronJob") -}}{{- end -}}
{{- /* Reloader's own defaults count where nothing is said: false. */ -}}
{{- $_ := set $s "onCreate" (default false $r.reloadOnCreate) -}}
{{- $_ := set $s "onDelete" (default false $r.reloadOnDelete) -}}
{{- with $r.ignoreNamespaces -}}{{- $_ := set $s "excludeNamespaces" (concat $s.excludeNamespaces (splitList "," (nospace .)) | uniq) -}}{{- end -}}
{{- with $r.namespaceSelector -}}{{- $_ := set $s "namespaceSelector" . -}}{{- end -}}
{{- with $r.resourceLabelSelector -}}{{- $_ := set $s "sourceSelector" . -}}{{- end -}}
{{- with $r.namespaces -}}
{{- $_ := set $s "namespaces" (ternary . (splitList "," (nospace (toString .))) (kindIs "slice" .)) -}}
{{- else -}}
{{- /* Without this switch Reloader watches the namespace that it is in. */ -}}
{{- if eq (toString $r.watchGlobally) "false" -}}{{- $_ := set $s "namespaces" (list $.Release.Namespace) -}}{{- end -}}
{{- end -}}
{{- if hasKey $r "logFormat" -}}{{- $_ := set $s "logFormat" (default "text" $r.logFormat) -}}{{- end -}}
{{- with $r.logLevel -}}
{{- $_ := set $s "logLevel" (get (dict "warning" "warn" "fatal" "error" "panic" "error") . | default .) -}}
{{- end -}}
{{- if $r.isOpenshift -}}{{- $_ := set $s "openshift" true -}}{{- end -}}
{{- end -}}
{{- toJson $s -}}
{{- end -}}

{{/* Values that contradict one another, each refused with its name. */}}
{{- define "windlass.validate" -}}
{{- $v := .Values -}}
{{- $s := include "windlass.settings" . | fromJson -}}
{{- if not $s.sources -}}
{{- fail "reloader.ignoreSecrets and reloader.ignoreConfigMaps leave nothing to watch: remove one of them" -}}
{{- end -}}
{{- if not $s.workloadKinds -}}
{{- if not $v.customKinds -}}
{{- fail "workloadKinds has only CronJob, which reloader.ignoreCronJobs excludes: add another kind" -}}
{{- end -}}
{{- end -}}
{{- if and $s.namespaces $s.namespaceSelector -}}
{{- fail "namespaces and namespaceSelector exclude each other: set one of them (reloader.watchGlobally: false and reloader.namespaces count as namespaces)" -}}
{{- end -}}
{{- if and $s.autoReloadAll (not (has "reloader" $s.compat)) -}}
{{- fail "compat.autoReloadAll needs reloader in compat.controllers" -}}
{{- end -}}
{{- if and (gt (int $v.replicas) 1) (not $v.leaderElection.enabled) -}}
{{- fail (printf "replicas: %d needs leaderElection.enabled: true, so that only one replica writes" (int $v.replicas)) -}}
{{- end -}}
{{- if and $v.observeOnly (gt (int $v.replicas) 1) (include "windlass.notifications" .) -}}
{{- fail (printf "observeOnly with notifications needs replicas: 1, not %d: there is no leader, and each replica would send every notification" (int $v.replicas)) -}}
{{- end -}}
{{- if and $v.rbac.clusterPolicies (not $s.namespaces) -}}
{{- fail "rbac.clusterPolicies requires namespaces; without namespaces, ClusterRolloutPolicies always apply" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled exclude each other: Prometheus would scrape each metric twice" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (not $v.service.enabled) -}}
{{- fail "serviceMonitor.enabled needs service.enabled, or use podMonitor" -}}
{{- end -}}
{{- range $name := include "windlass.channels" . | fromJsonArray -}}
{{- $target := get $v.notifications $name -}}
{{- if and $target.url $target.secret -}}
{{- fail (printf "notifications.%s.url and notifications.%s.secret exclude each other: set one of them" $name $name) -}}
{{- end -}}
{{- end -}}
{{- include "windlass.limits" . -}}
{{- end -}}
