// Command loadgen sends OTLP requests, in a closed loop or at a pace, and measures the answers.
//
// It is told what to send by a plan (plan.go) on stdin. It writes lines to stdout: "begin" and "end" when the measured
// window opens and closes, so that whoever started it can read the processes' CPU times at these moments, and then the
// outcome as JSON. It stays until its stdin is closed, so that its own CPU time can still be read.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func run() error {
	var plan Plan
	if err := json.NewDecoder(os.Stdin).Decode(&plan); err != nil {
		return fmt.Errorf("the plan on stdin is not valid: %w", err)
	}
	if err := plan.validate(); err != nil {
		return err
	}
	senders, err := connect(&plan)
	if err != nil {
		return err
	}
	crew := hire(&plan, senders)
	crew.start(context.Background())
	time.Sleep(seconds(plan.WarmUpSeconds))
	fmt.Println("begin")
	begin := time.Now()
	time.Sleep(seconds(plan.Seconds))
	end := time.Now()
	fmt.Println("end")
	crew.stop()
	if err := json.NewEncoder(os.Stdout).Encode(crew.outcome(begin, end)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
