// Reads what a collector is sent, an ExportTraceServiceRequest in protobuf, and writes it as JSON. TracesData has the same
// one field.
package main

import (
	"io"
	"os"

	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func main() {
	bytes, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	data := &trace.TracesData{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(bytes, data); err != nil {
		panic(err)
	}
	// What the types do not know is left out, and would not be seen.
	if again, err := proto.Marshal(data); err != nil || len(again) != len(bytes) {
		panic("there is more in it than OTLP knows")
	}
	json, err := protojson.Marshal(data)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(json)
}
