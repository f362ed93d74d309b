module fanfare.dev/demo

go 1.24
