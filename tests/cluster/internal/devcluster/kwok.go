package devcluster

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/yaml"
)

const (
	// fakeNodeAnnotation marks the nodes that kwok plays; real nodes can stand beside them.
	fakeNodeAnnotation = "kwok.x-k8s.io/node"

	// neverReady: "true" on a pod keeps it Running and not Ready, as a failing readiness probe would.
	neverReady = "windlass.test/never-ready"
	// readyAfter: "3s" on a pod keeps it Pending for that long.
	readyAfter = "windlass.test/ready-after"
)

func kwokArgs(c *cluster) []string {
	args := []string{
		"--kubeconfig=" + c.kubeconfig(kwokUser),
		"--manage-all-nodes=false",
		"--manage-nodes-with-annotation-selector=" + fakeNodeAnnotation + "=fake",
		"--node-ip=127.0.0.1",
		// Pods get made-up addresses; the default range would hold 254 of them.
		"--cidr=10.128.0.0/9",
		// No leases. They are kwok's way of sharing nodes among several of itself, and one that is
		// started again would wait up to 40 s for its predecessor's to expire, without a word, while
		// pods stay Pending. The controller manager is told not to miss them (specs.go).
		"--node-lease-duration-seconds=0",
		"--server-address=" + c.address(kwok),
	}
	for _, file := range c.kwokFiles {
		args = append(args, "--config="+file)
	}
	return args
}

// kwokConfig lets kwok work on as many pods at a time as a test may restart at once; it has no
// limit on its requests.
const kwokConfig = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  podPlayStageParallelism: 32
  nodePlayStageParallelism: 4
`

// podNeverReady is what pods do that carry the annotation; upstream has no such stage.
const podNeverReady = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: pod-never-ready
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Pending]}
    - {key: '.metadata.annotations["` + neverReady + `"]', operator: In, values: ["true"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      phase: Running
      startTime: {{ $now | Quote }}
      conditions:
      - {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
      - {type: Ready, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ $now | Quote }}}
      - {type: ContainersReady, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ $now | Quote }}}
      containerStatuses:
      {{ range .spec.containers }}
      - name: {{ .name | Quote }}
        image: {{ .image | Quote }}
        ready: false
        started: true
        restartCount: 0
        state:
          running:
            startedAt: {{ $now | Quote }}
      {{ end }}
`

// writeKwokFiles writes the stages, which are kwok's description of what pods and nodes do: those
// of upstream, with our two annotations added to the one that makes pods ready.
func writeKwokFiles(dir string) ([]string, error) {
	podReady, err := obeyAnnotations(podfast.DefaultPodReady)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var written []string
	for _, file := range []struct{ name, content string }{
		{"config.yaml", kwokConfig},
		{"node-initialize.yaml", fast.DefaultNodeInit},
		{"pod-ready.yaml", podReady},
		{"pod-never-ready.yaml", podNeverReady},
		{"pod-complete.yaml", podfast.DefaultPodComplete},
		{"pod-delete.yaml", podfast.DefaultPodDelete},
	} {
		path := filepath.Join(dir, file.name)
		if err := os.WriteFile(path, []byte(file.content), 0o600); err != nil {
			return nil, err
		}
		written = append(written, path)
	}
	return written, nil
}

func obeyAnnotations(upstream string) (string, error) {
	var stage v1alpha1.Stage
	if err := yaml.UnmarshalStrict([]byte(upstream), &stage); err != nil {
		return "", fmt.Errorf("kwok's stage pod-ready: %w", err)
	}
	stage.Spec.Selector.MatchExpressions = append(stage.Spec.Selector.MatchExpressions, v1alpha1.MatchExpression{
		Key:      annotationExpression(neverReady),
		Operator: v1alpha1.SelectorOpNotIn,
		Values:   []string{"true"},
	})
	stage.Spec.Delay = &v1alpha1.StageDelay{
		DurationMilliseconds: new(int64), // without the annotation: at once
		DurationFrom:         &v1alpha1.ExpressionFrom{ExpressionFrom: annotationExpression(readyAfter)},
	}
	changed, err := yaml.Marshal(stage)
	return string(changed), err
}

func annotationExpression(name string) string {
	return fmt.Sprintf(".metadata.annotations[%q]", name)
}
