package wrappers

// Version sets the resourceVersion.
func (p *Pod) Version(version string) *Pod { p.ResourceVersion = version; return p }
