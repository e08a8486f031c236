package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// WithLibraries is the binary and, unless it is static, its loader and the shared libraries that it
// is linked with, each at the place where the loader looks for it.
func WithLibraries(binary File) ([]File, error) {
	files := []File{binary}
	loader, err := loaderOf(binary.Source)
	if err != nil || loader == "" {
		return files, err
	}
	files = append(files, File{Source: loader, Target: loader})
	// The loader itself says where it finds them, by the rules and the cache of this machine.
	listed, err := exec.Command(loader, "--list", absolute(binary.Source)).Output()
	if err != nil {
		if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
		}
		return nil, fmt.Errorf("list the libraries of %s: %w", binary.Source, err)
	}
	for line := range strings.Lines(string(listed)) {
		// "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...)"
		_, rest, found := strings.Cut(line, " => ")
		library, _, told := strings.Cut(strings.TrimSpace(rest), " (")
		switch {
		case !found || library == loader:
			continue
		case !told || !filepath.IsAbs(library):
			return nil, fmt.Errorf("%s needs a library that is not here: %s", binary.Source, strings.TrimSpace(line))
		}
		files = append(files, File{Source: library, Target: library})
	}
	return files, nil
}

func absolute(name string) string {
	if path, err := filepath.Abs(name); err == nil {
		return path
	}
	return name
}

// loaderOf is the program that the kernel starts in the binary's stead; empty when it is static.
func loaderOf(binary string) (string, error) {
	opened, err := elf.Open(binary)
	if err != nil {
		return "", fmt.Errorf("%s is no program of this kind of machine: %w", binary, err)
	}
	defer opened.Close()
	section := opened.Section(".interp")
	if section == nil {
		return "", nil
	}
	name, err := section.Data()
	if err != nil {
		return "", fmt.Errorf("read the loader of %s: %w", binary, err)
	}
	return string(bytes.TrimRight(name, "\x00")), nil
}
