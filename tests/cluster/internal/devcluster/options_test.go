package devcluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		sentence string
		change   func(*upFlags)
		mistake  string // empty: it is fine
	}{
		{"the defaults are fine", func(*upFlags) {}, ""},
		{"a bare API server is fine", func(f *upFlags) { f.components = []string{apiserver, etcd} }, ""},
		{"an unknown component is named, with the known ones", func(f *upFlags) { f.components = []string{"etcd", "kubernetes"} }, `"kubernetes", known are etcd`},
		{"a component without what it needs", func(f *upFlags) { f.components = []string{apiserver, kwok} }, "kube-apiserver needs etcd"},
		{"no API server at all", func(f *upFlags) { f.components = []string{etcd} }, "at least"},
		{"a user name that is no file name", func(f *upFlags) { f.users = []string{"../x"} }, "no user name"},
		{"a user twice", func(f *upFlags) { f.users = []string{"a", "a:none"} }, "twice"},
		{"admin may be named", func(f *upFlags) { f.users = []string{"admin"} }, ""},
		{"admin always has all rights", func(f *upFlags) { f.users = []string{"admin:none"} }, "twice"},
		{"rights that do not exist", func(f *upFlags) { f.users = []string{"a:some"} }, `only "none"`},
		{"a feature gate without a value", func(f *upFlags) { f.featureGates = "WatchList" }, "form"},
		{"streaming lists on and off", func(f *upFlags) { f.featureGates, f.withoutWatchList = "WatchList=true", true }, "one of them"},
		{"fewer than no nodes", func(f *upFlags) { f.fakeNodes = -1 }, "negative"},
		{"a node may be asked for", func(f *upFlags) { f.components, f.node = nil, true }, ""},
		{"a kubelet's way to notice changes that it does not know", func(f *upFlags) { f.node, f.changeDetection = true, "Push" }, "Watch"},
		{"a kubelet's way to notice changes, without a kubelet", func(f *upFlags) { f.changeDetection = "Get" }, "needs --node"},
		{"a node's part without a node", func(f *upFlags) { f.components = append(f.components, kubelet) }, "kubelet needs --node"},
		{"no time at all", func(f *upFlags) { f.timeout = 0 }, "positive"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			flags := upFlags{components: withoutNode(), fakeNodes: 1, timeout: time.Minute, changeDetection: "Watch"}
			row.change(&flags)
			_, err := flags.parse()
			switch {
			case row.mistake == "" && err != nil:
				t.Fatalf("unexpected: %v", err)
			case row.mistake != "" && (err == nil || !strings.Contains(err.Error(), row.mistake)):
				t.Fatalf("want a message with %q, got %v", row.mistake, err)
			case err != nil && !errors.As(err, new(usageError)):
				t.Fatalf("not told apart as a usage error: %v", err)
			}
		})
	}
}

func TestComponentsStartInOrderWhateverTheOrderOfTheFlag(t *testing.T) {
	chosen, err := parseComponents([]string{kwok, apiserver, etcd})
	if err != nil {
		t.Fatal(err)
	}
	if chosen[0].name != etcd || chosen[1].name != apiserver || chosen[2].name != kwok {
		t.Fatalf("wrong order: %s, %s, %s", chosen[0].name, chosen[1].name, chosen[2].name)
	}
}

func TestWithoutWatchListIsAddedToTheGates(t *testing.T) {
	gates, err := parseFeatureGates("A=true,", true)
	if err != nil || gates != "A=true,WatchList=false" {
		t.Fatalf("got %q, %v", gates, err)
	}
}

func TestARealNodeReplacesTheFakeOnesUnlessTheyAreNamed(t *testing.T) {
	for _, row := range []struct {
		named []string
		want  []string
	}{
		{nil, []string{etcd, apiserver, controllerManager, scheduler, containerd, kubelet}},
		{[]string{etcd, apiserver, kwok}, []string{etcd, apiserver, kwok, containerd, kubelet}},
	} {
		flags := upFlags{components: row.named, fakeNodes: 1, timeout: time.Minute, node: true, changeDetection: "Watch"}
		parsed, err := flags.parse()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range parsed.components {
			got = append(got, s.name)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%v makes %v, not %v", row.named, got, row.want)
		}
	}
}
