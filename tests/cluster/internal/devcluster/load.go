package devcluster

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// importImages hands archives to containerd and returns when the kubelet could use them: its part
// of containerd learns of an image a moment after `ctr` has ended, and a pod that asks in between
// waits for ten seconds.
func importImages(ctx context.Context, socket string, files []string) error {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	images := cri.NewImageServiceClient(conn)
	for _, file := range files {
		names, err := imageNames(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		command := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", file)
		if said, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("import %s: ctr: %w: %s", file, err, strings.TrimSpace(string(said)))
		}
		for _, name := range names {
			if err := awaitImage(ctx, images, name); err != nil {
				return fmt.Errorf("%s is imported, but not to be used: %w", name, err)
			}
		}
	}
	return nil
}

func awaitImage(ctx context.Context, images cri.ImageServiceClient, name string) error {
	for {
		status, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
		if err == nil && status.Image != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(healthInterval):
		}
	}
}

// imageNames reads the names that a docker-archive gives its images.
func imageNames(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for archive := tar.NewReader(file); ; {
		entry, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("not a docker-archive: no manifest.json: %w", err)
		}
		if entry.Name != "manifest.json" {
			continue
		}
		var manifests []struct{ RepoTags []string }
		if err := json.NewDecoder(archive).Decode(&manifests); err != nil {
			return nil, fmt.Errorf("not a docker-archive: manifest.json: %w", err)
		}
		var names []string
		for _, one := range manifests {
			names = append(names, one.RepoTags...)
		}
		return names, nil
	}
}
