// Pushes 32 MiB with Go's own client, as docker, crane and skopeo do, and says what it was answered.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	return int(n), nil
}

// main.go <method> <url> <length: known or unknown> <expect: yes or no> <authorization or nothing>
func main() {
	const size = 32 << 20
	request, err := http.NewRequest(os.Args[1], os.Args[2], &zeros{size})
	if err != nil {
		panic(err)
	}
	if os.Args[3] == "known" {
		request.ContentLength = size
	}
	if os.Args[4] == "yes" {
		request.Header.Set("Expect", "100-continue")
	}
	if os.Args[5] != "" {
		request.Header.Set("Authorization", os.Args[5])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println("no answer:", err)
		return
	}
	body, err := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body), err)
}
