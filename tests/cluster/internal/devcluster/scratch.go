package devcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	scratchPrefix = "windlass-devcluster-"
	lockName      = ".devcluster.lock"
)

// folder is a directory that belongs to this supervisor for as long as it lives. The lock file in
// it says so to others, and tells a later supervisor that the rest is ours to delete.
type folder struct {
	path    string
	lock    *os.File
	scratch bool // made by us under the temporary directory: goes away as a whole
}

func claimFolder(dir string) (*folder, error) {
	if dir == "" {
		sweepScratch()
		made, err := os.MkdirTemp("", scratchPrefix)
		if err != nil {
			return nil, err
		}
		return lockFolder(made, true)
	}
	// Components get absolute paths, since a relative one would change its meaning with HOME and the like.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// The contents are removed at the end: never touch a folder with somebody else's files in it.
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, lockName)); len(entries) > 0 && err != nil {
		return nil, usagef("--dir %s is not empty and not from an earlier cluster", dir)
	}
	claimed, err := lockFolder(dir, false)
	if err != nil {
		return nil, err
	}
	return claimed, claimed.empty()
}

func lockFolder(path string, scratch bool) (*folder, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("a cluster is running in %s already (end it with `devcluster down --dir %s`)", path, path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &folder{path: path, lock: lock, scratch: scratch}, nil
}

// empty removes everything but the lock.
func (f *folder) empty() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(f.path, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// release gives the folder up; the lock goes last, so that nobody takes over a half-cleaned one.
func (f *folder) release(keep bool) error {
	defer f.lock.Close()
	if keep {
		return nil
	}
	if err := f.empty(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(f.path, lockName)); err != nil {
		return err
	}
	if f.scratch {
		return os.Remove(f.path)
	}
	return nil
}

// sweepScratch removes what supervisors that were killed left behind; only they leave an unlocked
// folder. It is housekeeping, so a failure is nobody's business.
func sweepScratch() {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), scratchPrefix) {
			continue
		}
		path := filepath.Join(os.TempDir(), entry.Name())
		info, err := os.Lstat(filepath.Join(path, lockName))
		// A young lock may be of a neighbour that is between making the file and locking it.
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if left, err := lockFolder(path, true); err == nil {
			_ = left.release(false)
		}
	}
}
