// Package hostile tests a whole server against bad input: addresses, web
// servers, zips, indexes, modules and requests, each with the exact text that
// its owner or visitor reads. While it goes on, a healthy mount has to answer,
// and what was refused must leave nothing behind. It is for tests only and
// exports nothing.
package hostile
