{{/*
Values that the program would refuse at its start, where a pattern in values.schema.json would be hard to read or
has to look at another value. `tests/it/chart/limits.rs` asks both, the program and the chart, for both sides of each limit.
*/}}
{{- define "windlass.limits" -}}
{{- $v := .Values -}}
{{- $s := include "windlass.settings" . | fromJson -}}
{{- include "windlass.between" (dict "name" "settle" "value" $v.settle "least" "0s" "most" "1h") -}}
{{- include "windlass.between" (dict "name" "resync" "value" $v.resync "least" "1s" "most" "24h") -}}
{{- include "windlass.between" (dict "name" "notifications.interval" "value" $v.notifications.interval "least" "1s" "most" "1h") -}}
{{- include "windlass.limits.lease" $v.leaderElection -}}
{{- range concat $s.namespaces $s.excludeNamespaces -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" .) -}}
{{- fail (printf "%q is not a namespace name: see namespaces, excludeNamespaces, reloader.namespaces and reloader.ignoreNamespaces" .) -}}
{{- end -}}
{{- end -}}
{{- if and $s.namespaces (not (include "windlass.limits.left" $s)) -}}
{{- fail (printf "excludeNamespaces excludes all of namespaces (%s): keep at least one" (join ", " $s.namespaces)) -}}
{{- end -}}
{{- range $name := list "namespaceSelector" "sourceSelector" -}}
{{- $selector := get $s $name -}}
{{- if not (or (empty $selector) (include "windlass.isSelector" $selector)) -}}
{{- fail (printf "%s: %q is not a label selector, such as team=web or env in (dev,test)" $name $selector) -}}
{{- end -}}
{{- end -}}
{{- $groups := dict -}}
{{- range include "windlass.kinds" . | fromYamlArray -}}{{- $_ := set $groups .kind .group -}}{{- end -}}
{{- range $v.customKinds -}}
{{- if eq .group (get $groups .kind) -}}
{{- fail (printf "customKinds: %s of %s is built in: add it to workloadKinds" .kind .group) -}}
{{- end -}}
{{- end -}}
{{- $events := $v.notifications.events -}}
{{- if and (has "Recovered" $events) (not (or (has "Held" $events) (has "Failed" $events) (has "Halted" $events))) -}}
{{- fail "notifications.events: Recovered requires Held, Failed or Halted: add one of these or remove Recovered" -}}
{{- end -}}
{{- end -}}

{{/* The times of a lease, as crates/core/src/lease.rs has them. Call with leaderElection. */}}
{{- define "windlass.limits.lease" -}}
{{- include "windlass.between" (dict "name" "leaderElection.leaseDuration" "value" .leaseDuration "least" "2s" "most" "1h") -}}
{{- $duration := include "windlass.milliseconds" .leaseDuration | int64 -}}
{{- $deadline := include "windlass.milliseconds" .renewDeadline | int64 -}}
{{- $retry := include "windlass.milliseconds" .retryPeriod | int64 -}}
{{- if or (le $deadline 0) (gt (mul 16 $deadline) (mul 15 $duration)) -}}
{{- fail (printf "leaderElection.renewDeadline: %s must be more than 0s and at most 15/16 of leaderElection.leaseDuration (%s)" .renewDeadline .leaseDuration) -}}
{{- end -}}
{{- if or (le $retry 0) (gt (mul 2 $retry) $deadline) -}}
{{- fail (printf "leaderElection.retryPeriod: %s must be more than 0s and at most half of leaderElection.renewDeadline (%s)" .retryPeriod .renewDeadline) -}}
{{- end -}}
{{- end -}}

{{/* Not empty if a namespace is left to work in. Call with the settings. */}}
{{- define "windlass.limits.left" -}}
{{- range .namespaces -}}
{{- if not (has . $.excludeNamespaces) -}}{{ . }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Refuses a duration that is out of range. Call with a dict: name, value, least, most. */}}
{{- define "windlass.between" -}}
{{- $value := include "windlass.milliseconds" .value | int64 -}}
{{- if or (lt $value (include "windlass.milliseconds" .least | int64)) (gt $value (include "windlass.milliseconds" .most | int64)) -}}
{{- fail (printf "%s: %s must be from %s to %s" .name .value .least .most) -}}
{{- end -}}
{{- end -}}

{{/* A duration in milliseconds. There is no function for that: it is how far it moves a date. */}}
{{- define "windlass.milliseconds" -}}
{{- $from := toDate "2006-01-02" "2000-01-01" -}}
{{- sub (mustDateModify . $from).UnixMilli $from.UnixMilli -}}
{{- end -}}

{{/* Not empty if it is a label selector. */}}
{{- define "windlass.isSelector" -}}
{{- $name := "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?" -}}
{{- $key := printf "([-a-z0-9.]{1,253}/)?%s" $name -}}
{{- $one := printf `(!\s*)?%[1]s|%[1]s\s*(=|==|!=)\s*(%[2]s)?|%[1]s\s+(in|notin)\s*\(\s*(%[2]s)?(\s*,\s*(%[2]s)?)*\s*\)` $key $name -}}
{{- if regexMatch (printf `^\s*(%[1]s)\s*(,\s*(%[1]s)\s*)*$` $one) . -}}yes{{- end -}}
{{- end -}}
