package render

// A list is one of Kubernetes' that a strategic merge merges item by item.
type list struct {
	keys    []string // by which items are known; the first that an item has
	ordered bool     // the order of the items means something
}

// lists are those by the name of their field; all others are replaced as a whole.
var lists = map[string]list{
	"containers": {[]string{"name"}, false}, "initContainers": {[]string{"name"}, true}, "ephemeralContainers": {[]string{"name"}, false},
	"env": {[]string{"name"}, false}, "ports": {[]string{"containerPort", "port"}, false},
	"volumes": {[]string{"name"}, false}, "volumeMounts": {[]string{"mountPath"}, false}, "volumeDevices": {[]string{"devicePath"}, false},
	"imagePullSecrets": {[]string{"name"}, false}, "hostAliases": {[]string{"ip"}, true},
}

// ItemKey gives the key by which a strategic merge knows an item of the list of
// that name; "" where the list is replaced as a whole.
func ItemKey(name string, item map[string]any) string {
	for _, k := range lists[name].keys {
		if item[k] != nil {
			return k
		}
	}
	return ""
}
