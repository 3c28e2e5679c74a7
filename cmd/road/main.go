package main

import (
	"os"

	"road/internal/cli"
)

func main() { os.Exit(cli.Main()) }
