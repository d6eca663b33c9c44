//go:build tools

// Package tools pins helm; nothing compiles this file.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
