// Package image writes container images without a registry and without a container runtime: a
// docker-archive with one layer, which `ctr images import` and `docker load` read. The same files
// make the same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// File is one regular file to copy into the image.
type File struct {
	Source string // on this machine; links are followed
	Target string // absolute, in the image
}

// Spec is all that an image consists of.
type Spec struct {
	Name       string // with a tag, or it is "latest"
	Files      []File
	Entrypoint []string
	Env        []string // NAME=VALUE
	User       string   // empty: root
}

// config is the part of an image's configuration that runtimes read.
type config struct {
	Architecture string  `json:"architecture"`
	OS           string  `json:"os"`
	Created      string  `json:"created"`
	Config       process `json:"config"`
	RootFS       rootFS  `json:"rootfs"`
}

type process struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write writes the archive.
func Write(out io.Writer, spec Spec) error {
	// In memory once: the digest of the layer is needed before its first byte is written.
	var layer bytes.Buffer
	if err := writeLayer(&layer, spec.Files); err != nil {
		return err
	}
	digest := digestOf(layer.Bytes())
	configJSON, err := json.Marshal(config{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Created:      "1970-01-01T00:00:00Z",
		Config:       process{User: spec.User, Env: spec.Env, Entrypoint: spec.Entrypoint},
		RootFS:       rootFS{Type: "layers", DiffIDs: []string{"sha256:" + digest}},
	})
	if err != nil {
		return err
	}
	configName, layerName := digestOf(configJSON)+".json", digest+".tar"
	manifestJSON, err := json.Marshal([]manifest{{
		Config:   configName,
		RepoTags: []string{withTag(spec.Name)},
		Layers:   []string{layerName},
	}})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	for _, part := range []struct {
		name    string
		content []byte
	}{{"manifest.json", manifestJSON}, {configName, configJSON}, {layerName, layer.Bytes()}} {
		if err := writeFile(archive, part.name, 0o644, part.content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// withTag names the tag, where none is: a colon before the last slash is of a port.
func withTag(name string) string {
	if strings.Contains(path.Base(name), ":") {
		return name
	}
	return name + ":latest"
}

// writeLayer writes every folder before what is in it, and all in order of their names.
func writeLayer(out io.Writer, files []File) error {
	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b File) int { return strings.Compare(a.Target, b.Target) })
	layer := tar.NewWriter(out)
	made := map[string]bool{"/": true}
	// Programs expect a folder for temporary files that everybody may write to.
	if err := writeFolder(layer, made, "/tmp", 0o1777); err != nil {
		return err
	}
	for n, file := range sorted {
		if n > 0 && sorted[n-1].Target == file.Target {
			if sorted[n-1].Source == file.Source {
				continue
			}
			return fmt.Errorf("two files for %s: %s and %s", file.Target, sorted[n-1].Source, file.Source)
		}
		if err := writeFolder(layer, made, path.Dir(file.Target), 0o755); err != nil {
			return err
		}
		content, err := os.ReadFile(file.Source)
		if err != nil {
			return err
		}
		info, err := os.Stat(file.Source)
		if err != nil {
			return err
		}
		// Readable for everybody, whatever the umask here: images are run as any user.
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		if err := writeFile(layer, strings.TrimPrefix(file.Target, "/"), mode, content); err != nil {
			return err
		}
	}
	return layer.Close()
}

func writeFolder(layer *tar.Writer, made map[string]bool, folder string, mode int64) error {
	if made[folder] {
		return nil
	}
	if err := writeFolder(layer, made, path.Dir(folder), 0o755); err != nil {
		return err
	}
	made[folder] = true
	return layer.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir,
		Name:     strings.TrimPrefix(folder, "/") + "/",
		Mode:     mode,
		Format:   tar.FormatPAX,
	})
}

func writeFile(archive *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     mode,
		Size:     int64(len(content)),
		Format:   tar.FormatPAX,
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// ParseFile reads HOST=PATH_IN_IMAGE.
func ParseFile(word string) (File, error) {
	source, target, ok := strings.Cut(word, "=")
	if !ok || source == "" || !filepath.IsAbs(target) || path.Clean(target) == "/" {
		return File{}, fmt.Errorf("%q is not of the form FILE=/PATH/IN/THE/IMAGE", word)
	}
	return File{Source: source, Target: path.Clean(target)}, nil
}
