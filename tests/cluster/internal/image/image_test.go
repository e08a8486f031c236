package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func source(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func entries(t *testing.T, archive []byte) (names []string, contents map[string][]byte, modes map[string]int64) {
	t.Helper()
	contents, modes = map[string][]byte{}, map[string]int64{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		entry, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names, contents, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, entry.Name)
		contents[entry.Name], modes[entry.Name] = content, entry.Mode
	}
}

func TestTheSameFilesMakeTheSameBytesWhateverTheirTimesAndOrder(t *testing.T) {
	one, two := source(t, "one", "1", 0o600), source(t, "two", "2", 0o755)
	files := []File{{one, "/a/one"}, {two, "/b/two"}}
	var first, second bytes.Buffer
	if err := Write(&first, Spec{Name: "x", Files: files}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(one, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	if err := Write(&second, Spec{Name: "x", Files: files}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("they differ")
	}
}

func TestAnArchiveSaysWhatRuntimesNeedToKnow(t *testing.T) {
	var archive bytes.Buffer
	spec := Spec{
		Name:       "registry:5000/app",
		Files:      []File{{source(t, "run", "#!", 0o700), "/opt/run"}, {source(t, "data", "", 0o600), "/opt/data"}},
		Entrypoint: []string{"/opt/run", "--fast"},
		Env:        []string{"A=b"},
		User:       "1000",
	}
	if err := Write(&archive, spec); err != nil {
		t.Fatal(err)
	}
	_, parts, _ := entries(t, archive.Bytes())
	var told []manifest
	if err := json.Unmarshal(parts["manifest.json"], &told); err != nil || len(told) != 1 {
		t.Fatalf("%v in %s", err, parts["manifest.json"])
	}
	if !slices.Equal(told[0].RepoTags, []string{"registry:5000/app:latest"}) {
		t.Errorf("names: %v", told[0].RepoTags)
	}
	var made config
	if err := json.Unmarshal(parts[told[0].Config], &made); err != nil {
		t.Fatal(err)
	}
	layer := parts[told[0].Layers[0]]
	if want := "sha256:" + digestOf(layer); made.RootFS.DiffIDs[0] != want {
		t.Errorf("the layer is %s and said to be %s", want, made.RootFS.DiffIDs[0])
	}
	if !slices.Equal(made.Config.Entrypoint, spec.Entrypoint) || !slices.Equal(made.Config.Env, spec.Env) || made.Config.User != "1000" {
		t.Errorf("configuration: %+v", made.Config)
	}
	names, _, modes := entries(t, layer)
	if want := []string{"tmp/", "opt/", "opt/data", "opt/run"}; !slices.Equal(names, want) {
		t.Errorf("%q, not %q", names, want)
	}
	if modes["opt/run"] != 0o755 || modes["opt/data"] != 0o644 || modes["tmp/"] != 0o1777 {
		t.Errorf("modes: %v", modes)
	}
}

func TestTwoFilesForOnePlaceAreRefused(t *testing.T) {
	files := []File{{source(t, "a", "", 0o600), "/x"}, {source(t, "b", "", 0o600), "/x"}}
	if err := Write(io.Discard, Spec{Name: "x", Files: files}); err == nil {
		t.Error("accepted")
	}
}

func TestADynamicBinaryBringsItsLoaderAndItsLibraries(t *testing.T) {
	files, err := WithLibraries(File{"/bin/sh", "/bin/sh"})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		all.WriteString(file.Target + "\n")
	}
	if !strings.Contains(all.String(), "ld-") || !strings.Contains(all.String(), "libc.") {
		t.Errorf("found only %s", all.String())
	}
}

func TestWhatIsNoProgramIsNamed(t *testing.T) {
	path := source(t, "text", "hello", 0o700)
	if _, err := WithLibraries(File{path, "/x"}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestPlacesInTheImageAreAbsolute(t *testing.T) {
	for _, word := range []string{"", "a", "a=", "=b", "a=b", "a=/", "a=/.."} {
		if file, err := ParseFile(word); err == nil {
			t.Errorf("%q is %+v", word, file)
		}
	}
	if file, err := ParseFile("a=/b//c"); err != nil || file != (File{"a", "/b/c"}) {
		t.Errorf("%+v, %v", file, err)
	}
}
