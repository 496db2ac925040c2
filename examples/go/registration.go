package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"time"

	pb "rollcall.example/examples/go/rollcallv1"
)

const (
	// After a ping that no leader confirmed, the next one comes sooner.
	unconfirmedPause = 200 * time.Millisecond

	// How long to try to deregister at the end. Whatever happens then, the session ends by its time to live.
	closeTime = 10 * time.Second
)

// registration keeps one instance registered, over broken streams, lost members and elections, until it is told to
// stop. It is a session with one instance in it; the session outlives the streams that it speaks over.
type registration struct {
	members *members
	spec    *pb.InstanceSpec
	ttl     time.Duration
	report  func(event string, facts ...any)

	sessionID uint64
	// Counts the streams of the session, so that members know which one is the latest.
	attachment uint64
	// Finds the session again where the answer to `open` was lost.
	requestID   string
	incarnation uint64
	// Sent on every stream until it is answered: the sequence tells a repeat from a second write.
	unanswered *pb.SessionWrite
}

func newRegistration(
	members *members, spec *pb.InstanceSpec, ttl time.Duration, report func(event string, facts ...any),
) *registration {
	r := &registration{members: members, spec: spec, ttl: ttl, report: report}
	r.beginSession()
	return r
}

// run returns nil once stop is done and the instance is deregistered, and an error where it cannot be (un)registered.
func (r *registration) run(stop context.Context) error {
	// Ends a little after stop.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(stop, func() { time.AfterFunc(closeTime, cancel) })()
	for {
		err := r.members.with(ctx, func(ctx context.Context, client pb.RegistryClient) error {
			return r.stream(ctx, stop, client)
		})
		switch {
		case err == nil:
			r.report("deregistered")
			return nil
		case reasonOf(err) == "UNKNOWN_SESSION":
			// Away for longer than the time to live: the instance is gone.
			r.beginSession()
		case permanent(err):
			return err
		}
		if stop.Err() != nil && r.sessionID == 0 {
			return nil // There is no session that could hold anything.
		}
		if !r.members.failed(ctx, err) {
			return errors.New("not deregistered in time; the session ends by its time to live")
		}
	}
}

func (r *registration) beginSession() {
	r.sessionID = 0
	r.attachment = 1
	r.requestID = rand.Text()
	// The first time it takes the id over, whoever has it. It comes back only where nobody else has taken it since.
	mode := pb.SessionRegisterMode_SESSION_REGISTER_MODE_START
	if r.incarnation != 0 {
		mode = pb.SessionRegisterMode_SESSION_REGISTER_MODE_RESTORE
	}
	register := &pb.SessionRegister{Instance: r.spec, Mode: mode, OwnIncarnation: r.incarnation}
	operation := &pb.SessionOperation{Operation: &pb.SessionOperation_Register{Register: register}}
	r.unanswered = &pb.SessionWrite{Sequence: 1, Operations: []*pb.SessionOperation{operation}}
}

// received is one answer of a stream, or how the stream ended: io.EOF where it was closed in order.
type received struct {
	response *pb.SessionResponse
	err      error
}

// stream speaks to one member as long as that lasts. nil: the session is closed.
func (r *registration) stream(ctx, stop context.Context, client pb.RegistryClient) error {
	stream, err := client.Session(ctx)
	if err != nil {
		return err
	}
	answers := make(chan received)
	go func() {
		for {
			response, err := stream.Recv()
			select {
			case answers <- received{response, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	if err := r.open(stream, answers); err != nil {
		return err
	}
	return r.keep(stop, stream, answers)
}

type sessionStream interface {
	Send(*pb.SessionRequest) error
	CloseSend() error
}

func (r *registration) open(stream sessionStream, answers <-chan received) error {
	open := &pb.SessionOpen{TtlMs: uint64(r.ttl.Milliseconds()), RequestId: r.requestID}
	if r.sessionID != 0 {
		r.attachment++
		open = &pb.SessionOpen{SessionId: r.sessionID, Attachment: r.attachment}
	}
	// What Send fails with is only that the stream has ended; why, its answers say.
	_ = stream.Send(&pb.SessionRequest{Request: &pb.SessionRequest_Open{Open: open}})
	select {
	case answer := <-answers:
		if answer.err != nil {
			return answer.err
		}
		opened := answer.response.GetOpened()
		if opened == nil {
			return errors.New("the stream began without `opened`")
		}
		r.sessionID = opened.GetSessionId()
		r.ttl = time.Duration(opened.GetTtlMs()) * time.Millisecond
		r.members.worked()
		return nil
	case <-time.After(answerTime):
		return errors.New("no answer to `open`")
	}
}

// keep writes, pings and listens. nil: the session is closed.
func (r *registration) keep(stop context.Context, stream sessionStream, answers <-chan received) error {
	if r.unanswered != nil {
		_ = stream.Send(&pb.SessionRequest{Request: &pb.SessionRequest_Write{Write: r.unanswered}})
	}
	var pingID uint64
	interval := r.ttl / 3
	nextPing := time.NewTimer(interval)
	defer nextPing.Stop()
	// Leaves time to go on elsewhere before the session ends.
	patience := min(answerTime, interval)
	// Runs while a ping, or the end of the stream, is without an answer.
	var overdue <-chan time.Time
	stopped := stop.Done()
	closing := false
	for {
		select {
		case answer := <-answers:
			if closing && answer.err == io.EOF {
				return nil
			}
			if answer.err != nil {
				return answer.err
			}
			if pong := answer.response.GetPong(); pong != nil && !closing {
				overdue = nil
				if pong.GetRenewed() {
					r.members.worked()
				} else {
					r.members.trouble("no leader confirms the registration")
					// No leader confirmed it: the session may still live, and time runs.
					nextPing.Reset(unconfirmedPause)
				}
			}
			if err := r.take(answer.response); err != nil {
				return err
			}
		case <-nextPing.C:
			pingID++
			ping := &pb.SessionPing{PingId: pingID}
			_ = stream.Send(&pb.SessionRequest{Request: &pb.SessionRequest_Ping{Ping: ping}})
			nextPing.Reset(interval)
			if overdue == nil {
				overdue = time.After(patience)
			}
		case <-overdue:
			return errors.New("no answer in time")
		case <-stopped:
			// Closing our side deregisters all that the session holds; any other end of the stream would not.
			_ = stream.CloseSend()
			nextPing.Stop()
			closing, stopped, overdue = true, nil, time.After(answerTime)
		}
	}
}

func (r *registration) take(response *pb.SessionResponse) error {
	if written := response.GetWritten(); written != nil {
		result := written.GetResults()[0]
		r.unanswered = nil
		if result.GetStatus() == pb.SessionResultStatus_SESSION_RESULT_STATUS_REFUSED {
			return refused("%s: %s", result.GetErrorReason(), result.GetErrorMessage())
		}
		r.incarnation = result.GetIncarnation()
		r.report("registered", "incarnation", r.incarnation)
	}
	if lost := response.GetLost(); lost != nil {
		// The session never registers it again, and neither do we: who took the id over has it now.
		cause := strings.TrimPrefix(lost.GetCause().String(), "SESSION_LOST_CAUSE_")
		return refused("the instance is not ours any more: %s", strings.ToLower(cause))
	}
	return nil
}
