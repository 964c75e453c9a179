package web

import (
	"fmt"
	"net/url"

	"github.com/berth-host/berth/host/console/api"
)

// Where things have their page. All links to them are made here, so that
// every page can lead to every other.

func packageHref(pkg, version string) string {
	return "/modules/package?" + url.Values{"package": {pkg}, "version": {version}}.Encode()
}

// moduleHref is one of the tabs of an installed version.
func moduleHref(tab string, p api.Package) string {
	return "/modules/" + tab + "?" + packageQuery(p.Package, p.Version)
}

func mountHref(id string) string { return "/sitemap/" + url.PathEscape(id) }

func revisionHref(number uint64) string { return fmt.Sprintf("/releases/%d", number) }

// configHref is where a slot is configured, or with slot "" both of a mount.
func configHref(mount, slot string) string { return configPlace{Mount: mount, Slot: slot}.Href() }

// promoteHref is where an owner sees what promoting a mount would change.
func promoteHref(mount string) string {
	return "/releases/promote?" + url.Values{"mount": {mount}}.Encode()
}

func jobHref(id string) string { return "/jobs/" + url.PathEscape(id) }

func planHref(id string) string { return "/modules/plans/" + url.PathEscape(id) }
