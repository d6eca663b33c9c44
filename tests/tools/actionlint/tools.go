//go:build tools

// Package tools pins actionlint; nothing compiles this file.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
