package devcluster

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAFolderWithOtherFilesIsRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := claimFolder(dir); err == nil {
		t.Error("claimed")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestAFolderBelongsToOneClusterAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "if", "missing")
	first, err := claimFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claimFolder(dir); err == nil {
		t.Error("claimed twice")
	}
	// As after a SIGKILL: contents there, nobody holds the lock.
	if err := os.WriteFile(filepath.Join(dir, "leftover"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := first.release(true); err != nil {
		t.Fatal(err)
	}
	second, err := claimFolder(dir)
	if err != nil {
		t.Fatalf("the next one cannot take over: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("leftovers are still there: %v", entries)
	}
	if err := second.release(false); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("a given folder ends empty and stays: %v, %v", entries, err)
	}
}

func TestScratchFoldersOfKilledSupervisorsAreSwept(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	alive, err := claimFolder("")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := claimFolder("")
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.release(true); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, path := range []string{alive.path, dead.path} {
		if err := os.Chtimes(filepath.Join(path, lockName), old, old); err != nil {
			t.Fatal(err)
		}
	}
	sweepScratch()
	if _, err := os.Stat(alive.path); err != nil {
		t.Errorf("the folder of a living cluster is gone: %v", err)
	}
	if _, err := os.Stat(dead.path); !os.IsNotExist(err) {
		t.Errorf("the folder of a dead cluster is still there: %v", err)
	}
	if err := alive.release(false); err != nil {
		t.Fatal(err)
	}
}
