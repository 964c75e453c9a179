package web

import (
	"fmt"
	"net/url"
)

// Where things have their page. All links to them are made here, so that
// every page can lead to every other.

func packageHref(pkg, version string) string {
	return "/modules/package?" + url.Values{"package": {pkg}, "version": {version}}.Encode()
}

func mountHref(id string) string { return "/sitemap/" + url.PathEscape(id) }

func revisionHref(number uint64) string { return fmt.Sprintf("/releases/%d", number) }

func configHref(mount, slot string) string {
	return "/configuration?" + url.Values{"mount": {mount}, "slot": {slot}}.Encode()
}

// promoteHref is where an owner sees what promoting a mount would change.
func promoteHref(mount string) string {
	return "/releases/promote?" + url.Values{"mount": {mount}}.Encode()
}

func jobHref(id string) string { return "/jobs/" + url.PathEscape(id) }

func planHref(id string) string { return "/modules/plans/" + url.PathEscape(id) }
