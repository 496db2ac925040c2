package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "rollcall.example/examples/go/rollcallv1"
)

const (
	// How long to go on asking where no member answers.
	discoverTime = 10 * time.Second

	// A quiet watch is told so often that nothing has changed; without a word for longer, the member is given up.
	progressTime = 2 * time.Second
	silenceTime  = 6 * time.Second

	// A member that has lost its leader says how old its knowledge is; from here on another one is asked.
	ageMsMax = 6_000
)

type found struct {
	instances []*pb.InstanceView
	// The first page is the service as of this revision; a service of one page is all there is to it.
	revision uint64
	member   string
}

// discover finds all instances that match. It asks the next member where one fails, and gives the last error where none
// answers in time.
func discover(ctx context.Context, members *members, service string, filter *pb.InstanceFilter) (*found, error) {
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	for {
		var answer *found
		err := members.with(ctx, func(ctx context.Context, client pb.RegistryClient) (err error) {
			answer, err = discoverFrom(ctx, client, service, filter)
			return err
		})
		if err == nil {
			return answer, nil
		}
		if permanent(err) || !members.failed(ctx, err) {
			return nil, err
		}
	}
}

func discoverFrom(
	ctx context.Context, client pb.RegistryClient, service string, filter *pb.InstanceFilter,
) (*found, error) {
	request := &pb.DiscoverRequest{Service: service, Filter: filter}
	var instances []*pb.InstanceView
	for {
		pageCtx, cancel := context.WithTimeout(ctx, answerTime)
		page, err := client.Discover(pageCtx, request)
		cancel()
		if err != nil {
			return nil, err
		}
		instances = append(instances, page.GetInstances()...)
		// A page may be short, or empty, and not be the last.
		if page.GetNextPageToken() == "" {
			return &found{instances, page.GetFirstRevision(), page.GetHeader().GetMember()}, nil
		}
		request.PageToken = page.GetNextPageToken()
	}
}

// batch is one step of a watch: the instances as of from become those as of to.
type batch struct {
	kind      pb.WatchBatchKind
	from, to  uint64
	coalesced bool
	member    string
	changes   []*pb.WatchEvent
}

// watch follows one service. instances is what is there as of the last batch, by id.
type watch struct {
	members   *members
	service   string
	filter    *pb.InstanceFilter
	instances map[string]*pb.InstanceView
	revision  uint64
}

func newWatch(members *members, service string, filter *pb.InstanceFilter) *watch {
	return &watch{members: members, service: service, filter: filter, instances: map[string]*pb.InstanceView{}}
}

// run hands over every batch once and in order, over broken streams and changed members, until ctx is done. It returns
// an error where the request is a bad one.
func (w *watch) run(ctx context.Context, onBatch func(batch)) error {
	for {
		err := w.members.with(ctx, func(ctx context.Context, client pb.RegistryClient) error {
			return w.stream(ctx, client, onBatch)
		})
		if ctx.Err() != nil {
			return nil
		}
		if permanent(err) {
			return err
		}
		if !w.members.failed(ctx, err) {
			return nil
		}
	}
}

// stream watches at one member as long as that lasts.
func (w *watch) stream(ctx context.Context, client pb.RegistryClient, onBatch func(batch)) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	silence := time.AfterFunc(silenceTime, func() { giveUp(errors.New("the member says nothing")) })
	defer silence.Stop()
	stream, err := client.Watch(ctx)
	if err != nil {
		return err
	}
	create := &pb.WatchCreate{
		WatchId: 1,
		Service: w.service,
		Filter:  w.filter,
		// The point up to which all was received in whole batches; 0 begins with a snapshot.
		ResumeRevision:     w.revision,
		ProgressIntervalMs: uint64(progressTime.Milliseconds()),
	}
	// What Send fails with is only that the stream has ended; why, Recv says.
	_ = stream.Send(&pb.WatchRequest{Request: &pb.WatchRequest_Create{Create: create}})
	// Events of a batch whose last part is not there yet. Where the stream breaks first, they come again.
	var events []*pb.WatchEvent
	for {
		response, err := stream.Recv()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		silence.Reset(silenceTime)
		if response.GetKind() == pb.WatchBatchKind_WATCH_BATCH_KIND_ENDED {
			return w.ended(response)
		}
		if response.GetHeader().GetAgeMs() > ageMsMax {
			return fmt.Errorf("what it knows may be over %d s old", ageMsMax/1_000)
		}
		w.members.worked()
		events = append(events, response.GetEvents()...)
		if response.GetMore() {
			continue
		}
		onBatch(w.apply(response, events))
		events = nil
		ack := &pb.WatchAck{WatchId: 1, Revision: w.revision}
		_ = stream.Send(&pb.WatchRequest{Request: &pb.WatchRequest_Ack{Ack: ack}})
	}
}

func (w *watch) ended(response *pb.WatchResponse) error {
	reason, message := response.GetErrorReason(), response.GetErrorMessage()
	switch reason {
	case "INVALID_FIELD", "MALFORMED_MESSAGE":
		return refused("%s: %s", reason, message)
	case "HISTORY_CHANGED", "OUT_OF_HISTORY":
		// The point to resume from is of another history: begin with a snapshot.
		w.revision = 0
	}
	return fmt.Errorf("%s: %s", reason, message)
}

// apply brings the instances to the batch's to_revision. last is its last part.
func (w *watch) apply(last *pb.WatchResponse, events []*pb.WatchEvent) batch {
	switch last.GetKind() {
	case pb.WatchBatchKind_WATCH_BATCH_KIND_SNAPSHOT, pb.WatchBatchKind_WATCH_BATCH_KIND_RESET:
		// Not steps, but all that is there: what it does not name is gone.
		events = append(w.gone(events, last.GetToRevision()), events...)
	}
	var changes []*pb.WatchEvent
	for _, event := range events {
		if w.change(event) {
			changes = append(changes, event)
		}
	}
	w.revision = last.GetToRevision()
	return batch{
		kind:      last.GetKind(),
		from:      last.GetFromRevision(),
		to:        last.GetToRevision(),
		coalesced: last.GetCoalesced(),
		member:    last.GetHeader().GetMember(),
		changes:   changes,
	}
}

// gone gives a DELETE for each instance that events do not name.
func (w *watch) gone(events []*pb.WatchEvent, revision uint64) []*pb.WatchEvent {
	named := map[string]bool{}
	for _, event := range events {
		named[event.GetInstance().GetSpec().GetId()] = true
	}
	var deletes []*pb.WatchEvent
	for id, view := range w.instances {
		if !named[id] {
			spec := view.GetSpec()
			key := &pb.InstanceKey{Namespace: spec.GetNamespace(), Service: spec.GetService(), Id: id}
			kind := pb.WatchEventKind_WATCH_EVENT_KIND_DELETE
			deletes = append(deletes, &pb.WatchEvent{Kind: kind, Revision: revision, Key: key})
		}
	}
	return deletes
}

// change is false where it changes nothing: what a reset or a coalesced batch names may be known, or gone, already.
func (w *watch) change(event *pb.WatchEvent) bool {
	if event.GetKind() == pb.WatchEventKind_WATCH_EVENT_KIND_PUT {
		id := event.GetInstance().GetSpec().GetId()
		known := w.instances[id]
		w.instances[id] = event.GetInstance()
		return known.GetMeta().GetModifyRevision() != event.GetInstance().GetMeta().GetModifyRevision()
	}
	// DELETE: it is not registered any more. LEAVES: it is, but the filter does not match it any more.
	id := event.GetKey().GetId()
	_, known := w.instances[id]
	delete(w.instances, id)
	return known
}
