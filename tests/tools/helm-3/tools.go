//go:build tools

// Package tools pins Helm 3; nothing compiles this file.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
