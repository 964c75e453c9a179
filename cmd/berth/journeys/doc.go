// Package journeys takes the ways of an owner through the console, in a real
// browser against a real server, and looks at every page on the way: what axe
// finds in both themes, what the content security policy has blocked, what
// scripts have failed. It holds tests only. A journey in a file of its own
// begins with newJourney.
//
// It needs Chromium. Without one its tests are skipped; with
// BERTH_BROWSER=required, as in CI, they fail. With BERTH_SCREENSHOTS=DIR the
// pages are kept there as pictures.
package journeys
