package devcluster

import (
	"strings"
	"testing"
)

func TestAMachineWithoutTheProgramsIsToldOfAllPackagesInOneLine(t *testing.T) {
	system, plugins := systemFolders, cniFolders
	defer func() { systemFolders, cniFolders = system, plugins }()
	systemFolders, cniFolders = nil, []string{t.TempDir()}
	t.Setenv("PATH", t.TempDir())
	_, err := findInstallation()
	if err == nil {
		t.Fatal("found")
	}
	if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "apt-get install -y containerd runc iproute2 containernetworking-plugins") {
		t.Errorf("got %v", err)
	}
}
