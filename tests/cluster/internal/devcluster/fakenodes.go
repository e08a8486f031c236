package devcluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// populate creates the fake nodes and returns when a pod could be created and scheduled: the nodes
// are Ready and untainted, and the namespace `default` has its service account.
func (c *cluster) populate(ctx context.Context) error {
	if c.has(kwok) {
		for n := range c.options.fakeNodes {
			if _, err := c.client.CoreV1().Nodes().Create(ctx, fakeNode(n), metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create a fake node: %w", err)
			}
		}
	}
	for {
		missing, err := c.missing(ctx)
		if err == nil && missing == "" {
			return nil
		}
		if err != nil {
			missing = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", missing, context.Cause(ctx))
		case <-time.After(healthInterval):
		}
	}
}

// missing names the first thing that is not there yet.
func (c *cluster) missing(ctx context.Context) (string, error) {
	if _, err := c.client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{}); err != nil {
		return "the namespace default is not there", ignoreNotFound(err)
	}
	if c.has(controllerManager) {
		if _, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return "the service account default/default is not there", ignoreNotFound(err)
		}
	}
	if !c.has(kwok) && c.node == nil {
		return "", nil
	}
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	if c.node != nil && !slices.ContainsFunc(nodes.Items, func(node corev1.Node) bool { return node.Name == nodeName }) {
		return "the kubelet has not registered its node", nil
	}
	for _, node := range nodes.Items {
		if !ready(node) {
			return fmt.Sprintf("the node %s is not Ready", node.Name), nil
		}
		// The taint "not-ready" of new nodes is taken away by the controller manager only.
		if c.has(controllerManager) && len(node.Spec.Taints) > 0 {
			return fmt.Sprintf("the node %s is still tainted", node.Name), nil
		}
	}
	return "", nil
}

func (c *cluster) has(name string) bool {
	return slices.Contains(c.options.components, specByName(name))
}

func ready(node corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
		return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
	})
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// fakeNode has room for more pods than any test makes, so that scheduling never is the question.
func fakeNode(n int) *corev1.Node {
	name := fmt.Sprintf("fake-node-%d", n)
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("4Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("4Ti"),
		corev1.ResourcePods:             resource.MustParse("10000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{fakeNodeAnnotation: "fake"},
			Labels: map[string]string{
				corev1.LabelHostname:   name,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: "amd64",
				"type":                 "kwok",
			},
		},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room},
	}
}
