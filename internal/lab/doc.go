// Package lab builds a small world for end-to-end tests and demonstrations: four
// hosts (client, production, target, blackhole) as network namespaces on one
// bridge, a real server on production and on the target, and our two programs
// run between them as a user would run them.
//
// A lab needs root and Linux. It touches nothing outside its own namespaces and
// its own directory, and it is taken down when the process that raised it ends,
// however that ends: a small shell waits on a pipe for it (see teardown.sh).
//
// The switch's cables can be made faulty, in each direction between two hosts
// (see Lab.Impair): frames are lost, duplicated, reordered and delayed.
//
//	 10.77.0.10         10.77.0.20         10.77.0.30         10.77.0.40
//	 fd77::10           fd77::20           fd77::30           fd77::40
//	┌─────────┐       ┌────────────┐      ┌──────────┐       ┌───────────┐
//	│ client  │       │ production │      │  target  │       │ blackhole │
//	│         │       │ server     │      │  server  │       │ intercept │
//	│         │       │ mrtecopy   │      │          │       │           │
//	└────┬────┘       └─────┬──────┘      └────┬─────┘       └─────┬─────┘
//	     └─────────────────┬┴──────────────────┴───────────────────┘
//	                    switch (a bridge in a fifth namespace)
package lab
