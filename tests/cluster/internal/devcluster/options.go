package devcluster

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// usageError is a mistake of the caller, told apart because it exits with 2.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...)}
}

// rights says what a user may do before a test gives it anything.
type rights int

const (
	rightsAll  rights = iota // member of system:masters
	rightsNone               // authenticated, and nothing else
)

type user struct {
	name   string
	rights rights
}

// adminUser always exists, so that somebody can give rights to the others.
const adminUser = "admin"

// upFlags is what was typed; options is what it means.
type upFlags struct {
	dir                   string
	keepDir               bool
	components            []string
	fakeNodes             int
	users                 []string
	featureGates          string
	withoutWatchList      bool
	apiserverArgs         []string
	controllerManagerArgs []string
	stopOnStdinEOF        bool
	timeout               time.Duration
	node                  bool
	changeDetection       string
}

type options struct {
	dir                   string // empty: a new one under the temporary directory
	keepDir               bool
	components            []*spec // in the order of starting
	fakeNodes             int
	users                 []user
	featureGates          string
	apiserverArgs         []string
	controllerManagerArgs []string
	stopOnStdinEOF        bool
	timeout               time.Duration
	node                  *nodeOptions // nil: none
}

func (f upFlags) parse() (options, error) {
	parsed := options{
		dir:                   f.dir,
		keepDir:               f.keepDir,
		fakeNodes:             f.fakeNodes,
		apiserverArgs:         f.apiserverArgs,
		controllerManagerArgs: f.controllerManagerArgs,
		stopOnStdinEOF:        f.stopOnStdinEOF,
		timeout:               f.timeout,
	}
	var err error
	if parsed.node, err = parseNode(f.node, f.changeDetection); err != nil {
		return options{}, err
	}
	for _, name := range f.components {
		if s := specByName(name); s != nil && s.inNode {
			return options{}, usagef("--components: %s needs --node, which brings it", name)
		}
	}
	if parsed.components, err = parseComponents(f.withNode()); err != nil {
		return options{}, err
	}
	if parsed.users, err = parseUsers(f.users); err != nil {
		return options{}, err
	}
	if parsed.featureGates, err = parseFeatureGates(f.featureGates, f.withoutWatchList); err != nil {
		return options{}, err
	}
	if f.fakeNodes < 0 {
		return options{}, usagef("--fake-nodes must not be negative, got %d", f.fakeNodes)
	}
	if f.timeout <= 0 {
		return options{}, usagef("--timeout must be positive, got %s", f.timeout)
	}
	return parsed, nil
}

// withNode is the choice of components, where --node stands for its two and, unless it was made by
// name, replaces the fake nodes: a pod should not be on either by chance.
func (f upFlags) withNode() []string {
	names := f.components
	if names == nil {
		names = withoutNode()
		if f.node {
			names = slices.DeleteFunc(names, func(name string) bool { return name == kwok })
		}
	}
	if f.node {
		names = append(slices.Clone(names), containerd, kubelet)
	}
	return names
}

func parseNode(wanted bool, detection string) (*nodeOptions, error) {
	known := []changeDetection{detectByWatch, detectByCache, detectByGet}
	if !slices.Contains(known, changeDetection(detection)) {
		return nil, usagef("--change-detection must be one of %q, got %q", known, detection)
	}
	if !wanted {
		if detection != string(detectByWatch) {
			return nil, usagef("--change-detection is about a real node: it needs --node")
		}
		return nil, nil
	}
	return &nodeOptions{changeDetection(detection)}, nil
}

// parseComponents refuses a choice that could never become ready, instead of waiting for it.
func parseComponents(names []string) ([]*spec, error) {
	var chosen []*spec
	for _, name := range names {
		if specByName(name) == nil {
			return nil, usagef("--components: unknown component %q, known are %s", name, strings.Join(withoutNode(), ", "))
		}
	}
	for _, candidate := range specs {
		if !slices.Contains(names, candidate.name) {
			continue
		}
		for _, needed := range candidate.needs {
			if !slices.Contains(names, needed) {
				return nil, usagef("--components: %s needs %s", candidate.name, needed)
			}
		}
		chosen = append(chosen, candidate)
	}
	if !slices.Contains(chosen, specByName(apiserver)) {
		return nil, usagef("--components: a cluster is at least %s and %s", etcd, apiserver)
	}
	return chosen, nil
}

// A user's name becomes a file name, a key of the JSON line and a column of the token file.
var userName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func parseUsers(words []string) ([]user, error) {
	users := []user{{adminUser, rightsAll}}
	for _, word := range words {
		name, suffix, limited := strings.Cut(word, ":")
		if !userName.MatchString(name) {
			return nil, usagef("--users: %q is no user name (lower case letters, digits and dashes)", name)
		}
		granted := rightsAll
		if limited {
			if suffix != "none" {
				return nil, usagef("--users: %q: after the colon only \"none\" is known (no rights of its own)", word)
			}
			granted = rightsNone
		}
		if name == adminUser && granted == rightsAll {
			continue
		}
		if slices.ContainsFunc(users, func(u user) bool { return u.name == name }) {
			return nil, usagef("--users: %q is there twice (%s always exists)", name, adminUser)
		}
		users = append(users, user{name, granted})
	}
	return users, nil
}

var featureGate = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9:]*=(true|false)$`)

// parseFeatureGates only looks at the shape; which gates exist is for the components to say.
func parseFeatureGates(gates string, withoutWatchList bool) (string, error) {
	var all []string
	for gate := range strings.SplitSeq(gates, ",") {
		if gate == "" {
			continue
		}
		if !featureGate.MatchString(gate) {
			return "", usagef("--feature-gates: %q is not of the form Name=true or Name=false", gate)
		}
		if withoutWatchList && strings.HasPrefix(gate, "WatchList=") {
			return "", usagef("--without-watch-list and --feature-gates %s: give one of them", gate)
		}
		all = append(all, gate)
	}
	if withoutWatchList {
		// Beta and not locked in 1.37; the server then refuses sendInitialEvents with 422, as 1.33 does.
		all = append(all, "WatchList=false")
	}
	return strings.Join(all, ","), nil
}
