package api

// Interpreted are the packages whose modules run without machine code.
type Interpreted struct {
	Packages []InterpretedPackage `json:"packages"`
}

// InterpretedPackage is a package that is interpreted, and why.
type InterpretedPackage struct {
	Package string `json:"package"`          // package@version
	By      string `json:"by"`               // "owner", or "self-test": machine code gave other answers
	Reason  string `json:"reason,omitempty"` // what the self-test found
}

// InterpreterRequest switches the interpreter on or off for a package.
type InterpreterRequest struct {
	Package string `json:"package" audit:"show"` // package or package@version
	On      bool   `json:"on" audit:"show"`
	Why     string `json:"why,omitempty" audit:"show"`
}
