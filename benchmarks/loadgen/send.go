package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// A sender makes one export call and returns the body of the answer.
type sender interface {
	send(ctx context.Context, payload []byte) ([]byte, error)
}

// connect makes one sender per connection. A sender may be used by several goroutines at once.
func connect(plan *Plan) ([]sender, error) {
	senders := make([]sender, plan.Connections)
	for i := range senders {
		switch plan.Protocol {
		case "grpc":
			connection, err := grpc.NewClient(plan.Address,
				grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})),
				// A retry inside the library would go uncounted.
				grpc.WithDisableRetry(),
			)
			if err != nil {
				return nil, err
			}
			senders[i] = &grpcSender{connection, plan.Path}
		case "http/protobuf":
			senders[i] = newHTTPSender(plan, "application/x-protobuf")
		case "http/json":
			senders[i] = newHTTPSender(plan, "application/json")
		default:
			return nil, fmt.Errorf("unknown protocol %q", plan.Protocol)
		}
	}
	return senders, nil
}

type grpcSender struct {
	connection *grpc.ClientConn
	method     string
}

func (s *grpcSender) send(ctx context.Context, payload []byte) ([]byte, error) {
	var answer []byte
	err := s.connection.Invoke(ctx, s.method, payload, &answer)
	return answer, err
}

// rawCodec passes bytes through: payloads are serialised already, and answers are only checked for being empty.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

type httpSender struct {
	client      *http.Client
	url         string
	contentType string
}

func newHTTPSender(plan *Plan, contentType string) *httpSender {
	// HTTP/1.1 has one request at a time on a connection, so that "in flight" takes as many connections.
	transport := &http.Transport{
		DialContext:         (&net.Dialer{}).DialContext,
		MaxConnsPerHost:     plan.InFlight,
		MaxIdleConnsPerHost: plan.InFlight,
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
	}
	return &httpSender{&http.Client{Transport: transport}, "http://" + plan.Address + plan.Path, contentType}
}

func (s *httpSender) send(ctx context.Context, payload []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", s.contentType)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, err
}

// isFullSuccess: nothing was rejected and nothing is to be told. A partial success that is there but empty says no more
// than none at all; the Collector and Rotel send one.
func isFullSuccess(answer []byte) bool {
	switch string(answer) {
	case "", "\x0a\x00", "{}", `{"partialSuccess":{}}`, `{"partialSuccess":null}`:
		return true
	default:
		return false
	}
}

func describe(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Code().String() + ": " + s.Message()
	}
	return err.Error()
}
