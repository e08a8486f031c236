package devcluster

// auditPolicy makes the audit log a complete list of the users' requests, one line each, written
// when the answer is complete (a watch therefore appears when it closes). The cluster's own parts
// are left out: they would be most of the file, and nobody counts them. Service accounts of other
// namespaces than kube-system stay in, because a controller under test may run as one.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
omitManagedFields: true
rules:
- level: None
  nonResourceURLs: ["*"]
- level: None
  users: ["system:apiserver", "system:anonymous"]
- level: None
  userGroups: ["` + componentGroup + `", "system:nodes", "system:serviceaccounts:kube-system"]
- level: Metadata
`
