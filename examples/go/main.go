// Registers an instance, discovers a service, or watches it. Prints JSON, one object a line.
//
//	go run . register SERVICE ID HOST:PORT --ttl 10
//	go run . discover SERVICE
//	go run . watch SERVICE
package main

//go:generate go run ./generate

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	pb "rollcall.example/examples/go/rollcallv1"
)

const usage = `usage:
  register SERVICE ID HOST:PORT [flags]   until SIGTERM, which deregisters
  discover SERVICE [flags]                prints the instances that are there
  watch SERVICE [flags]                   prints the instances and every change
flags:
`

// options of all commands.
type options struct {
	server  string
	tags    tags
	version string
	ttl     float64
}

type tags []string

func (t *tags) String() string { return strings.Join(*t, ",") }

func (t *tags) Set(tag string) error {
	*t = append(*t, tag)
	return nil
}

func main() {
	log.SetFlags(0)
	var options options
	flags := flag.NewFlagSet("rollcall", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	server := os.Getenv("ROLLCALL_SERVER")
	if server == "" {
		server = "127.0.0.1:7410,127.0.0.1:7420,127.0.0.1:7430"
	}
	flags.StringVar(&options.server, "server", server, "members, host:port with commas between (ROLLCALL_SERVER)")
	flags.Var(&options.tags, "tag", "of the instance, or wanted; may be repeated")
	flags.StringVar(&options.version, "version", "", "of the instance; a range such as ^1.2 where versions are wanted")
	flags.Float64Var(&options.ttl, "ttl", 10, "seconds that the instance lives without a sign of life")
	args := parse(flags, os.Args[1:])
	misused := func() {
		flags.Usage()
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	members := newMembers(strings.Split(options.server, ","))
	var err error
	switch {
	case len(args) == 4 && args[0] == "register":
		endpoint, malformed := endpointAt(args[3])
		if malformed != nil {
			log.Print(malformed)
			misused()
		}
		err = runRegister(ctx, members, args[1], args[2], endpoint, options)
	case len(args) == 2 && args[0] == "discover":
		err = runDiscover(ctx, members, args[1], options)
	case len(args) == 2 && args[0] == "watch":
		err = runWatch(ctx, members, args[1], options)
	default:
		misused()
	}
	if err != nil {
		log.Fatal(describe(err))
	}
}

// parse takes flags also behind arguments, and returns the arguments.
func parse(flags *flag.FlagSet, args []string) []string {
	var rest []string
	for {
		_ = flags.Parse(args)
		args = flags.Args()
		if len(args) == 0 {
			return rest
		}
		rest = append(rest, args[0])
		args = args[1:]
	}
}

func endpointAt(text string) (*pb.Endpoint, error) {
	host, portText, malformed := net.SplitHostPort(text)
	port, err := strconv.ParseUint(portText, 10, 16)
	if malformed != nil || err != nil || host == "" {
		return nil, fmt.Errorf("%s is not HOST:PORT", text)
	}
	return &pb.Endpoint{Name: "main", Protocol: "grpc", Address: host, Port: uint32(port)}, nil
}

func runRegister(
	ctx context.Context, members *members, service, id string, endpoint *pb.Endpoint, options options,
) error {
	spec := &pb.InstanceSpec{
		Service:   service,
		Id:        id,
		Endpoints: []*pb.Endpoint{endpoint},
		Version:   options.version,
		Tags:      options.tags,
	}
	ttl := time.Duration(options.ttl * float64(time.Second))
	return newRegistration(members, spec, ttl, report).run(ctx)
}

func runDiscover(ctx context.Context, members *members, service string, options options) error {
	found, err := discover(ctx, members, service, filterOf(options))
	if err != nil {
		return err
	}
	for _, view := range found.instances {
		report("instance", factsOf(view)...)
	}
	report("discovered", "instances", len(found.instances), "revision", found.revision, "member", found.member)
	return nil
}

func runWatch(ctx context.Context, members *members, service string, options options) error {
	watch := newWatch(members, service, filterOf(options))
	return watch.run(ctx, func(batch batch) {
		if batch.kind == pb.WatchBatchKind_WATCH_BATCH_KIND_PROGRESS {
			return // Comes every 2 s where nothing changes.
		}
		kind := shortName(batch.kind.String(), "WATCH_BATCH_KIND_")
		report(kind, "fromRevision", batch.from, "toRevision", batch.to, "coalesced", batch.coalesced,
			"instances", len(watch.instances), "member", batch.member)
		for _, change := range batch.changes {
			kind := shortName(change.GetKind().String(), "WATCH_EVENT_KIND_")
			report(kind, append([]any{"revision", change.GetRevision()}, factsOfChange(change)...)...)
		}
	})
}

func filterOf(options options) *pb.InstanceFilter {
	return &pb.InstanceFilter{Tags: options.tags, VersionRange: options.version}
}

func factsOf(view *pb.InstanceView) []any {
	spec := view.GetSpec()
	endpoints := []string{}
	for _, endpoint := range spec.GetEndpoints() {
		address := net.JoinHostPort(endpoint.GetAddress(), fmt.Sprint(endpoint.GetPort()))
		endpoints = append(endpoints, fmt.Sprintf("%s=%s://%s", endpoint.GetName(), endpoint.GetProtocol(), address))
	}
	tags := append([]string{}, spec.GetTags()...)
	return []any{"id", spec.GetId(), "endpoints", endpoints, "version", spec.GetVersion(), "tags", tags,
		"incarnation", view.GetMeta().GetIncarnation()}
}

func factsOfChange(change *pb.WatchEvent) []any {
	if change.GetKind() == pb.WatchEventKind_WATCH_EVENT_KIND_PUT {
		return factsOf(change.GetInstance())
	}
	facts := []any{"id", change.GetKey().GetId(), "incarnation", change.GetIncarnation()}
	if change.GetKind() == pb.WatchEventKind_WATCH_EVENT_KIND_LEAVES {
		return facts
	}
	cause := shortName(change.GetCause().String(), "REMOVAL_CAUSE_")
	return append(facts, "cause", cause, "reason", change.GetReason())
}

// shortName is `lease-expired` for REMOVAL_CAUSE_LEASE_EXPIRED.
func shortName(name, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, prefix)), "_", "-")
}

// report prints an event with its facts, which are names and values in turn, as one line of JSON.
func report(event string, facts ...any) {
	line := map[string]any{"event": event}
	for i := 0; i+1 < len(facts); i += 2 {
		line[facts[i].(string)] = facts[i+1]
	}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}
