module oauth-keeper/tests/tools/pod-image

go 1.26.0
