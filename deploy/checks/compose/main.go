// Says whether a Compose file is one: reads it as Compose does, with every profile, its environment files, and what
// services say of networks, volumes, secrets and each other. What is mounted must exist, for Compose would make a
// folder of what does not.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func check(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	for _, path := range mounted(project) {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("mounts what is not there: %w", err)
		}
	}
	return nil
}

func mounted(project *types.Project) []string {
	var paths []string
	for _, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				paths = append(paths, volume.Source)
			}
		}
	}
	for _, secret := range project.Secrets {
		paths = append(paths, secret.File)
	}
	return paths
}
