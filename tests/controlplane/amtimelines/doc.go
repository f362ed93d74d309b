// Package amtimelines plays timelines to Alertmanager's dispatcher and notification pipeline. It is a test
// because only tests have a clock of their own (testing/synctest): hours pass in milliseconds, and every
// timer ends exactly on time.
package amtimelines
