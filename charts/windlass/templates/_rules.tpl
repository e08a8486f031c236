{{/*
The rights, each with its reason. `cargo xtask chart` takes them away one by one, and each time something
that Windlass is for has to stop working: what is not needed is not here.

Call with a dict: root, settings.
*/}}

{{/* In every namespace that is worked in. */}}
{{- define "windlass.rules.work" -}}
{{- $v := .root.Values -}}
{{- $s := .settings -}}
{{- $patch := ternary "" ", patch" $v.observeOnly -}}
{{- $all := dict "Deployment" "deployments" "StatefulSet" "statefulsets" "DaemonSet" "daemonsets" -}}
{{- $apps := list -}}
{{- range $kind := list "Deployment" "StatefulSet" "DaemonSet" -}}
{{- if has $kind $s.workloadKinds -}}{{- $apps = append $apps (get $all $kind) -}}{{- end -}}
{{- end -}}
{{- if has "configmaps" $s.sources }}
# The content that workloads use, digested on arrival. get: once, when a workload begins to use one that nobody
# used before.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
{{- end }}
{{- if has "secrets" $s.sources }}
# Listed and watched by their metadata only. get: the content of those that a workload uses, one by one when
# they change; and the token that agents share with Windlass.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
{{- else if $v.inPlace.agentTokenSecrets }}
# The token that agents share with Windlass. No other Secret is read.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson $v.inPlace.agentTokenSecrets }}
  verbs: [get]
{{- end }}
{{- if $apps }}
# Which workloads opt in, and what they use. get: again, where a decision needs pods or revisions as well.
{{- if not $v.observeOnly }}
# patch: to restart them, and to record the baseline.
{{- end }}
- apiGroups: [apps]
  resources: [{{ join ", " $apps }}]
  verbs: [get, list, watch{{ $patch }}]
{{- end }}
{{- if has "CronJob" $s.workloadKinds }}
# Nothing is ever written to a CronJob: its next run reads what is there then.
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list, watch]
{{- end }}
{{- if has "Rollout" $s.workloadKinds }}
# Of Argo, where it is installed.
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch{{ $patch }}]
{{- if not (has "Deployment" $s.workloadKinds) }}
# Where a Rollout has its pod template by workloadRef.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get]
{{- end }}
{{- end }}
{{- range $v.customKinds }}
# By customKinds.
- apiGroups: [{{ .group }}]
  resources: [{{ .resource }}]
  verbs: [get, list, watch{{ $patch }}]
{{- end }}
{{- $revisions := list -}}
{{- if or (has "Deployment" $s.workloadKinds) (has "Rollout" $s.workloadKinds) -}}{{- $revisions = append $revisions "replicasets" -}}{{- end -}}
{{- if or (has "StatefulSet" $s.workloadKinds) (has "DaemonSet" $s.workloadKinds) -}}{{- $revisions = append $revisions "controllerrevisions" -}}{{- end -}}
{{- if $revisions }}
# Which templates were rolled out before; read only where a workload's state alone cannot decide.
- apiGroups: [apps]
  resources: [{{ join ", " $revisions }}]
  verbs: [list]
{{- end }}
# When pods were started, read likewise.
{{- $nudge := and $v.inPlace.nudge (not $v.observeOnly) }}
{{- if $nudge }}
# patch: the annotation windlass.dev/nudge of pods whose files change in place.
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list{{ if $nudge }}, patch{{ end }}]
# What is to be done, and when.
- apiGroups: [windlass.dev]
  resources: [rolloutpolicies]
  verbs: [list, watch]
# How far its workloads are. Nothing else of a policy is ever written.
- apiGroups: [windlass.dev]
  resources: [rolloutpolicies/status]
  verbs: [patch]
# Tells people, on the workload, what was done and why. patch: counts repeats in the Event that is there.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* On the cluster itself. */}}
{{- define "windlass.rules.cluster" -}}
# The floor that no namespace lifts, and how far its workloads are.
- apiGroups: [windlass.dev]
  resources: [clusterrolloutpolicies]
  verbs: [list, watch]
- apiGroups: [windlass.dev]
  resources: [clusterrolloutpolicies/status]
  verbs: [patch]
# The labels that ClusterRolloutPolicies and namespaceSelector select by.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
# Tells when a kind such as Rollout or RolloutPolicy begins or ceases to be served.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
{{- end -}}

{{/* In the namespace of the Lease and of the digest key. */}}
{{- define "windlass.rules.own" -}}
{{- $root := .root -}}
{{- $lease := include "windlass.leaseName" $root -}}
{{- $key := printf "%s-digest-key" $lease -}}
{{- $secrets := has "secrets" .settings.sources -}}
{{- $places := .settings.namespaces -}}
{{- $covered := or (not $places) (has (include "windlass.leaseNamespace" $root) $places) -}}
{{- if not $covered -}}
# The key of the digests.
- apiGroups: [""]
  resources: [{{ ternary "secrets" "configmaps" $secrets }}]
  resourceNames: [{{ $key }}]
  verbs: [get]
{{- end }}
{{- if $root.Values.rbac.createDigestKey }}
# Made once. RBAC cannot limit this to a name; rbac.createDigestKey: false does without.
- apiGroups: [""]
  resources: [{{ ternary "secrets" "configmaps" $secrets }}]
  verbs: [create]
{{- end }}
{{- if and $secrets (not (and $covered (has "configmaps" .settings.sources))) }}
# The key of a time in which Secrets did not count: what was recorded then can be read with it alone.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ $key }}]
  verbs: [get]
{{- end }}
# When Windlass last watched, and which replica writes.{{ if $root.Values.observeOnly }} Who only observes leaves it as it is.{{ end }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ $lease }}]
  verbs: [get{{ if not $root.Values.observeOnly }}, patch{{ end }}]
{{- if not $root.Values.observeOnly }}
# Made once; RBAC cannot limit this to a name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
{{- end }}
{{- end -}}

{{/* A binding to a role of the same name. Call with a dict: root, kind (of the role), name. */}}
{{- define "windlass.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "windlass.serviceAccountName" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
