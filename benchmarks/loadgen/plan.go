package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Plan says what to send where, how often at once and for how long.
type Plan struct {
	Protocol      string     `json:"protocol"` // "grpc", "http/protobuf" or "http/json"
	Address       string     `json:"address"`  // host:port
	Path          string     `json:"path"`     // gRPC method or HTTP path
	Connections   int        `json:"connections"`
	InFlight      int        `json:"inFlight"`  // requests at once on each connection, at most
	PerSecond     float64    `json:"perSecond"` // requests, of all connections together; 0: each as soon as it may go
	WarmUpSeconds float64    `json:"warmUpSeconds"`
	Seconds       float64    `json:"seconds"`
	Templates     []Template `json:"templates"`
}

// Template is a serialised export request whose times and ids are overwritten in place for each sending, so that no two
// requests are the same and making one costs little more than copying it.
type Template struct {
	Payload []byte `json:"payload"`
	Records int    `json:"records"`
	Text    bool   `json:"text"`  // JSON: times are 19 decimal digits and halves of ids 16 hex digits, not 8 bytes each
	Times   []int  `json:"times"` // offsets of Unix nanoseconds
	Ids     []int  `json:"ids"`   // offsets of 8 bytes of an id; a trace id is two of these
	Epoch   uint64 `json:"epoch"` // the time that the template's times are relative to
}

const (
	wordSize      = 8
	hexSize       = 2 * wordSize
	decimalDigits = 19
)

func (p *Plan) validate() error {
	if p.Connections < 1 || p.InFlight < 1 || len(p.Templates) == 0 {
		return errors.New("the plan needs at least one connection, one request in flight and one template")
	}
	for i := range p.Templates {
		if err := p.Templates[i].validate(); err != nil {
			return fmt.Errorf("template %d: %w", i, err)
		}
	}
	return nil
}

func (t *Template) validate() error {
	timeSize, idSize := wordSize, wordSize
	if t.Text {
		timeSize, idSize = decimalDigits, hexSize
	}
	for _, offset := range t.Times {
		if offset < 0 || offset+timeSize > len(t.Payload) {
			return fmt.Errorf("time at %d is outside the payload", offset)
		}
	}
	for _, offset := range t.Ids {
		if offset < 0 || offset+idSize > len(t.Payload) {
			return fmt.Errorf("id at %d is outside the payload", offset)
		}
	}
	return nil
}

// fill writes the request for `now` into buffer and returns it. Ids are masked rather than drawn anew, which keeps the
// spans of a trace together and parents with their children.
func (t *Template) fill(buffer []byte, now, mask uint64) []byte {
	buffer = append(buffer[:0], t.Payload...)
	if t.Text {
		t.fillText(buffer, now-t.Epoch, mask)
	} else {
		t.fillWords(buffer, now-t.Epoch, mask)
	}
	return buffer
}

func (t *Template) fillWords(buffer []byte, shift, mask uint64) {
	for _, offset := range t.Times {
		word := buffer[offset : offset+wordSize]
		binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)+shift)
	}
	for _, offset := range t.Ids {
		word := buffer[offset : offset+wordSize]
		binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)^mask)
	}
}

func (t *Template) fillText(buffer []byte, shift, mask uint64) {
	for _, offset := range t.Times {
		digits := buffer[offset : offset+decimalDigits]
		value, _ := strconv.ParseUint(string(digits), 10, 64)
		strconv.AppendUint(digits[:0], value+shift, 10)
	}
	var word [wordSize]byte
	for _, offset := range t.Ids {
		digits := buffer[offset : offset+hexSize]
		_, _ = hex.Decode(word[:], digits)
		binary.LittleEndian.PutUint64(word[:], binary.LittleEndian.Uint64(word[:])^mask)
		hex.Encode(digits, word[:])
	}
}
