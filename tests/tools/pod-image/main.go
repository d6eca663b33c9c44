// Command pod is what the tests run in pods of their own. Without arguments it waits to be ended, which is all that the
// first process of a pod has to do. With `use FOLDER URL` it is a workload that uses the tokens in a folder.
package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	period  = 200 * time.Millisecond
	timeout = 5 * time.Second
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	if len(os.Args) == 4 && os.Args[1] == "use" {
		go use(os.Args[2], os.Args[3])
	}
	<-ended
}

// use presents the token in each file of a folder to a protected resource, again and again. It reads the file each
// time, as every workload should that has a token mounted.
func use(folder, resource string) {
	client := &http.Client{Timeout: timeout}
	for ; ; time.Sleep(period) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			fmt.Println(err)
		}
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), "..") {
				continue // how the kubelet changes all files at once
			}
			if err := present(client, filepath.Join(folder, entry.Name()), resource); err != nil {
				fmt.Println(err)
			}
		}
	}
}

// present asks for the resource with the token in a file, and says which file it was.
func present(client *http.Client, file, resource string) error {
	token, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	query := url.Values{"file": {filepath.Base(file)}}
	request, err := http.NewRequest(http.MethodGet, resource+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", file, answer.Status)
	}
	return nil
}
