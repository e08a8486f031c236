package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"windlass.dev/tests/cluster/internal/cgroups"
)

// patience is for the kernel: what was killed still has to die.
const patience = time.Minute

// clean waits until the supervisor is gone, however it ended (its end of the pipe at standard input
// closes), and removes the control group. With a folder it also empties that: a scratch folder
// that nobody would look for again. After an orderly end neither is there any more.
func clean(group, scratch string) error {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	err := cgroups.RemoveDead(group, patience)
	if scratch == "" {
		return err
	}
	folder, openErr := os.Open(scratch + "/" + lockName)
	if openErr != nil {
		return err // gone
	}
	defer folder.Close()
	// Somebody else may have taken the folder over, or be at removing it.
	taken := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for until := time.Now().Add(5 * time.Second); taken != nil && time.Now().Before(until); {
		time.Sleep(50 * time.Millisecond)
		taken = unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if taken != nil {
		return err
	}
	if removeErr := os.RemoveAll(scratch); removeErr != nil {
		return fmt.Errorf("remove what a killed cluster left: %w", removeErr)
	}
	return err
}

// lockName is the file by which a living supervisor holds its folder.
const lockName = ".devcluster.lock"
