package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "rollcall.example/examples/go/rollcallv1"
)

const (
	// A member that is alive answers within two election timeouts (2 s); one that does not is taken for lost.
	answerTime = 3 * time.Second

	pauseMin = 50 * time.Millisecond
	pauseMax = 2 * time.Second
)

// errRefused: the registry has refused what was asked; asking again is of no use.
var errRefused = errors.New("refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errRefused, fmt.Sprintf(format, args...))
}

// members of a cluster. Any member serves every call: one is used as long as it works, then the next one, after a
// pause. Not for use by several goroutines at once.
type members struct {
	addresses []string
	at        int
	failures  int
	inTrouble bool
}

func newMembers(addresses []string) *members {
	// Clients spread over the members, and do not all come to the same one when theirs is lost.
	return &members{addresses: addresses, at: rand.IntN(len(addresses))}
}

func (m *members) address() string {
	return m.addresses[m.at]
}

// with calls use with the member in turn, over a connection of its own that is closed afterwards.
func (m *members) with(ctx context.Context, use func(context.Context, pb.RegistryClient) error) error {
	connection, err := grpc.NewClient(m.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return refused("%v", err)
	}
	defer connection.Close()
	// Ends the streams that use has opened.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return use(ctx, pb.NewRegistryClient(connection))
}

// worked is to be called at each answer: the next failure is then the first in a row.
func (m *members) worked() {
	m.failures = 0
	if m.inTrouble {
		log.Print("works again")
	}
	m.inTrouble = false
}

// trouble is said once, however many attempts fail; worked says when it is over.
func (m *members) trouble(problem string) {
	if !m.inTrouble {
		log.Printf("%s: %s; goes on trying, at the other members too", m.address(), problem)
	}
	m.inTrouble = true
}

// failed goes on to the next member, after a pause that doubles with each failure in a row. False: ctx is done.
func (m *members) failed(ctx context.Context, problem error) bool {
	m.trouble(describe(problem))
	m.at = (m.at + 1) % len(m.addresses)
	pause := min(pauseMax, pauseMin<<min(m.failures, 10))
	m.failures++
	// Many clients that lost the same member do not come back at once.
	pause = pause/2 + rand.N(pause/2)
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// permanent: the same call fails again on every member.
func permanent(err error) bool {
	if errors.Is(err, errRefused) {
		return true
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.AlreadyExists, codes.FailedPrecondition, codes.PermissionDenied,
		codes.Unauthenticated, codes.Unimplemented:
		return true
	default:
		return false
	}
}

// reasonOf is the reason of docs/reference/errors.md; "" where a proxy or gRPC itself gave the error.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

func describe(err error) string {
	answer, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	name := reasonOf(err)
	if name == "" {
		name = answer.Code().String()
	}
	return fmt.Sprintf("%s: %s", name, answer.Message())
}
