package app

// APIServer stands in Connection.Host for the cluster's API server.
const APIServer = "kubernetes.default.svc"

// A Connection is something that a pod called, as often as it did. Behind a
// Service it is the pod that answered, with the pod's own port.
type Connection struct {
	Workload string `json:"workload,omitempty"` // by ID; "" for what is no pod of the application
	Host     string `json:"host,omitempty"`     // that is APIServer, the name that was looked up, or the address
	Protocol string `json:"protocol"`           // "TCP" or "UDP"
	Port     int    `json:"port"`
}
