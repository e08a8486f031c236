{{/*
The rights, each with its reason. `cargo xtask chart` takes them away one by one, and each time something
that Windlass is for has to stop working: what is not needed is not here.

Call with a dict: root, settings.
*/}}

{{/* The kinds of workloads, as YAML: rows of crates/core/src/workload/kind.rs. */}}
{{- define "windlass.kinds" -}}
{{- .Files.Get "files/kinds.yaml" -}}
{{- end -}}

{{/* In every namespace that is worked in. */}}
{{- define "windlass.rules.work" -}}
{{- $v := .root.Values -}}
{{- $s := .settings -}}
{{- $patch := ternary "" ", patch" $v.observeOnly -}}
{{- $kinds := list -}}
{{- $groups := list -}}
{{- range include "windlass.kinds" .root | fromYamlArray -}}
{{- if has .kind $s.workloadKinds -}}
{{- $kinds = append $kinds . -}}
{{- $groups = append $groups .group | uniq -}}
{{- end -}}
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
{{- range $group := $groups }}
{{- $restarted := list -}}
{{- $nextRun := list -}}
{{- range $kinds -}}
{{- if ne .group $group -}}
{{- else if .restarted -}}{{- $restarted = append $restarted .resource -}}
{{- else -}}{{- $nextRun = append $nextRun .resource -}}
{{- end -}}
{{- end -}}
{{- if $restarted }}
# Which workloads opt in, and what they use. get: again, where a decision needs pods or revisions as well.
{{- if not $v.observeOnly }}
# patch: to restart them, and to record the baseline.
{{- end }}
- apiGroups: [{{ $group }}]
  resources: [{{ join ", " $restarted }}]
  verbs: [get, list, watch{{ $patch }}]
{{- end }}
{{- if $nextRun }}
# Nothing is ever written to {{ join ", " $nextRun }}: their next run reads what is there then.
- apiGroups: [{{ $group }}]
  resources: [{{ join ", " $nextRun }}]
  verbs: [list, watch]
{{- end }}
{{- end }}
{{- range $kinds }}
{{- if and .template (not (has .template.kind $s.workloadKinds)) }}
# Where a {{ .kind }} names a {{ .template.kind }} that has its pod template.
- apiGroups: [{{ .template.group }}]
  resources: [{{ .template.resource }}]
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
{{- range $kinds -}}
{{- with .revisions -}}{{- $revisions = append $revisions . | uniq -}}{{- end -}}
{{- end -}}
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
