// The gateways: what a sandboxed agent reaches instead of the network. Each serves one activation on listeners that
// the supervisor opened for it, holds the credentials that the agent must not see, and writes down every call.
//
//   MCPRequest ─▶ Gatekeeper ─▶ Era ─▶ MCPServer ─▶ ToolSource ─┬─ HubTools ─▶ Hub
//   (listener)    origin, token  pure    methods      grants     └─ ProxiedTools ─▶ Downstream ─┬─ StdioClient ─▶ sidecar
//                                                                                                └─ HTTPDownstream ─▶ URL
//   sidecar ─▶ ForwardProxy ─▶ ProxyPolicy ─▶ one of the catalogue's hosts
