// Package cgroups owns the control groups of one cluster's node: one group per hierarchy, all of
// the same name, under which the kubelet makes everything else. It only knows folders, so that the
// small program that outlives a killed supervisor can use it as well.
package cgroups

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Prefix begins the name of every group that is ours to remove.
const Prefix = "windlass-devcluster-"

// Group is the same name in every hierarchy, held by a lock on the first of them: who finds one
// unlocked knows that its cluster is dead.
type Group struct {
	name  string
	roots []string
	lock  *os.File
}

// Name is what the kubelet calls it, from the root of the hierarchies.
func (g *Group) Name() string { return "/" + g.name }

// BaseName is the name without the leading slash.
func (g *Group) BaseName() string { return g.name }

// Create makes a new group.
func Create() (*Group, error) {
	roots, err := hierarchies()
	if err != nil {
		return nil, err
	}
	for {
		g := &Group{name: Prefix + strconv.FormatUint(rand.Uint64(), 36), roots: roots}
		first := filepath.Join(roots[0], g.name)
		if err := os.Mkdir(first, 0o755); err != nil {
			return nil, fmt.Errorf("make a control group: %w", err)
		}
		lock, err := lockGroup(first)
		if errors.Is(err, errTaken) {
			continue // another supervisor was sweeping just then
		}
		if err != nil {
			return nil, err
		}
		g.lock = lock
		for _, root := range roots {
			if err := delegate(root); err != nil {
				return nil, errors.Join(err, g.Remove(0))
			}
			if err := os.MkdirAll(filepath.Join(root, g.name), 0o755); err != nil {
				return nil, errors.Join(fmt.Errorf("make a control group: %w", err), g.Remove(0))
			}
		}
		return g, nil
	}
}

// Remove removes the group and everything below it. Its processes must have ended; the kernel may
// need a moment to notice, which is what patience is for.
func (g *Group) Remove(patience time.Duration) error {
	defer g.lock.Close()
	return removeAll(g.roots, g.name, patience)
}

// RemoveDead removes a group by its name unless somebody holds it.
func RemoveDead(name string, patience time.Duration) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	lock, err := lockGroup(filepath.Join(roots[0], name))
	// Somebody's sweep, with no patience at all, may be at it and give up.
	for until := time.Now().Add(patience); errors.Is(err, errTaken) && time.Now().Before(until); {
		time.Sleep(50 * time.Millisecond)
		lock, err = lockGroup(filepath.Join(roots[0], name))
	}
	switch {
	case errors.Is(err, errTaken):
		return nil
	case err == nil:
		defer lock.Close()
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	return removeAll(roots, name, patience)
}

// Sweep removes the groups of all clusters that are dead. It is housekeeping: a failure is nobody's
// business, the next one tries again.
func Sweep() {
	roots, err := hierarchies()
	if err != nil {
		return
	}
	for _, root := range roots {
		entries, _ := os.ReadDir(root)
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), Prefix) {
				_ = RemoveDead(entry.Name(), 0)
			}
		}
	}
}

// Left lists the folders of a group that exist, for tests.
func Left(name string) []string {
	roots, _ := hierarchies()
	var left []string
	for _, root := range roots {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			left = append(left, filepath.Join(root, name))
		}
	}
	return left
}

// Held tells whether a living cluster has the group of that name, for tests.
func Held(name string) bool {
	roots, err := hierarchies()
	if err != nil {
		return false
	}
	lock, err := lockGroup(filepath.Join(roots[0], name))
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, errTaken)
}

var errTaken = errors.New("the group belongs to somebody else")

// lockGroup locks the folder and makes sure that it still is the one of that name.
func lockGroup(path string) (*os.File, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		folder.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errTaken
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	mine, err := folder.Stat()
	if err == nil {
		if there, statErr := os.Stat(path); statErr != nil || !os.SameFile(mine, there) {
			err = errTaken
		}
	}
	if err != nil {
		folder.Close()
		return nil, err
	}
	return folder, nil
}

const removeInterval = 10 * time.Millisecond

func removeAll(roots []string, name string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		var failed error
		// The locked one last, so that a half-removed group never looks like nobody's.
		for n := len(roots) - 1; n >= 0; n-- {
			failed = errors.Join(failed, removeTree(filepath.Join(roots[n], name)))
		}
		if failed == nil || time.Now().After(deadline) {
			return failed
		}
		time.Sleep(removeInterval)
	}
}

// removeTree removes folders only: the files in a control group are not there to be removed.
func removeTree(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the control group %s: %w", path, err)
	}
	return nil
}

// hierarchies lists the mounts of control groups. The first is the one whose folder is locked. Where
// there are controllers of v1 the unified hierarchy has none, and runc uses it all the same.
func hierarchies() ([]string, error) {
	file, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var roots []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			roots = append(roots, fields[1])
		}
	}
	if len(roots) == 0 {
		return nil, errors.New("no control groups are mounted on this machine (/sys/fs/cgroup)")
	}
	return roots, nil
}

// needed are the controllers without which the kubelet does not start or a pod cannot be limited.
var needed = []string{"cpu", "cpuset", "memory", "pids"}

// delegate lets groups below the root of cgroup v2 have controllers; in v1 there is nothing to do.
func delegate(root string) error {
	available, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for controller := range strings.FieldsSeq(string(available)) {
		if !slices.Contains(needed, controller) {
			continue
		}
		control := filepath.Join(root, "cgroup.subtree_control")
		if err := os.WriteFile(control, []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("delegate the controller %s: %w", controller, err)
		}
	}
	return nil
}
