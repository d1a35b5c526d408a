package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pauseAfterError keeps a target that refuses from being hammered; SDKs wait longer.
const pauseAfterError = 10 * time.Millisecond

// Outcome is what the senders saw. Latencies are of the requests answered in the measured window.
type Outcome struct {
	Seconds             float64        `json:"seconds"`
	Records             int            `json:"records"`  // acknowledged in the window
	Requests            int            `json:"requests"` // acknowledged in the window
	AcknowledgedRecords int            `json:"acknowledgedRecords"`
	UnclearRecords      int            `json:"unclearRecords"` // of failed requests: stored or not
	PartialSuccesses    int            `json:"partialSuccesses"`
	Errors              map[string]int `json:"errors"`
	LongestGapSeconds   float64        `json:"longestGapSeconds"` // between two acknowledgements in the window
	MedianSeconds       float64        `json:"medianSeconds"`
	Percentile99Seconds float64        `json:"percentile99Seconds"`
	SlowestSeconds      float64        `json:"slowestSeconds"`
}

type acknowledgement struct {
	at      time.Time
	latency time.Duration
	records int
}

type worker struct {
	sender           sender
	templates        []Template
	random           *rand.Rand
	interval         time.Duration // from one request to the next, at least
	delay            time.Duration // of the first, so that the workers take turns
	acknowledged     []acknowledgement
	unclear          int
	partialSuccesses int
	errors           map[string]int
}

// crew is all workers: one for each request in flight.
type crew struct {
	workers  []*worker
	stopping atomic.Bool
	group    sync.WaitGroup
}

func hire(plan *Plan, senders []sender) *crew {
	c := &crew{}
	var turn time.Duration
	if plan.PerSecond > 0 {
		turn = seconds(1 / plan.PerSecond)
	}
	interval := turn * time.Duration(len(senders)*plan.InFlight)
	for _, s := range senders {
		for range plan.InFlight {
			c.workers = append(c.workers, &worker{
				sender:    s,
				templates: plan.Templates,
				random:    rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
				interval:  interval,
				delay:     turn * time.Duration(len(c.workers)),
				errors:    map[string]int{},
			})
		}
	}
	return c
}

func (c *crew) start(ctx context.Context) {
	for _, w := range c.workers {
		c.group.Go(func() { w.work(ctx, &c.stopping) })
	}
}

// stop lets each worker finish its request and waits for all.
func (c *crew) stop() {
	c.stopping.Store(true)
	c.group.Wait()
}

func (w *worker) work(ctx context.Context, stopping *atomic.Bool) {
	var buffer []byte
	due := time.Now().Add(w.delay)
	for next := w.random.IntN(len(w.templates)); !stopping.Load(); next = (next + 1) % len(w.templates) {
		template := &w.templates[next]
		time.Sleep(time.Until(due))
		begin := time.Now()
		due = begin.Add(w.interval)
		buffer = template.fill(buffer, uint64(begin.UnixNano()), w.random.Uint64())
		answer, err := w.sender.send(ctx, buffer)
		if err != nil {
			w.errors[describe(err)]++
			w.unclear += template.Records
			buffer = nil // the transport may still hold the old one
			time.Sleep(pauseAfterError)
			continue
		}
		if !isFullSuccess(answer) {
			w.partialSuccesses++
		}
		end := time.Now()
		w.acknowledged = append(w.acknowledged, acknowledgement{end, end.Sub(begin), template.Records})
	}
}

func (c *crew) outcome(begin, end time.Time) Outcome {
	out := Outcome{Seconds: end.Sub(begin).Seconds(), Errors: map[string]int{}}
	var latencies []time.Duration
	times := []time.Time{begin, end}
	for _, w := range c.workers {
		out.UnclearRecords += w.unclear
		out.PartialSuccesses += w.partialSuccesses
		for text, count := range w.errors {
			out.Errors[text] += count
		}
		for _, a := range w.acknowledged {
			out.AcknowledgedRecords += a.records
			if a.at.After(begin) && !a.at.After(end) {
				out.Records += a.records
				latencies = append(latencies, a.latency)
				times = append(times, a.at)
			}
		}
	}
	out.Requests = len(latencies)
	slices.Sort(latencies)
	out.MedianSeconds = percentile(latencies, 50)
	out.Percentile99Seconds = percentile(latencies, 99)
	out.SlowestSeconds = percentile(latencies, 100)
	out.LongestGapSeconds = longestGap(times)
	return out
}

// percentile of a sorted slice, by the nearest rank; 0 for none.
func percentile(sorted []time.Duration, rank int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*rank/100].Seconds()
}

func longestGap(times []time.Time) float64 {
	slices.SortFunc(times, time.Time.Compare)
	var longest time.Duration
	for i := 1; i < len(times); i++ {
		longest = max(longest, times[i].Sub(times[i-1]))
	}
	return longest.Seconds()
}
