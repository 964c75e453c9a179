package api

// About says what runs.
type About struct {
	Version  string    `json:"version"` // of berth
	Go       string    `json:"go"`
	OS       string    `json:"os"`
	Arch     string    `json:"arch"`
	Data     string    `json:"data"`    // data folder
	License  string    `json:"license"` // of berth
	Licenses []License `json:"licenses"`
}

// License is that of a library which is part of the program.
type License struct {
	Module  string `json:"module"`
	Version string `json:"version"`
	License string `json:"license"` // SPDX identifier
	Text    string `json:"text"`
}

// UpdatePolicy says what is to happen when a package of a mount has a newer
// version.
type UpdatePolicy struct {
	Mount  string `json:"mount"`  // ID
	Route  string `json:"route"`  // host and path
	Policy string `json:"policy"` // "manual", "notify", "patch-beta" or "compatible-beta"
}

// UpdatePolicyRequest sets the policy of a mount.
type UpdatePolicyRequest struct {
	Mount  string `json:"-" path:"mount"`
	Policy string `json:"policy" audit:"show"`
}
