// Says whether dashboards are what Grafana's own schema asks for: every key, every panel's options, every query.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			os.Exit(1)
		}
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var board dashboard.Dashboard
	if err := board.UnmarshalJSONStrict(text); holds(err) {
		return err
	}
	if err := board.Validate(); holds(err) {
		return err
	}
	return nil
}

// The library answers an empty list of faults where there is none.
func holds(err error) bool {
	return err != nil && err.Error() != ""
}
