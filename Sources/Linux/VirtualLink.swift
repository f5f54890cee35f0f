import CLinux
import Glibc

/// A veth pair between a sandbox and the gateway namespace.
public struct VirtualLink: Sendable, Hashable {
  /// Name of the gateway end.
  public var name: String
  /// Interface number of the gateway end, chosen by us so that nothing has to be looked up.
  public var index: UInt32
  /// The only address inside the sandbox.
  public var inside: IPv4Address
  /// Where everything is sent.
  public var gateway: IPv4Address

  /// Names both ends.
  public init(name: String, index: UInt32, inside: IPv4Address, gateway: IPv4Address) {
    self.name = name
    self.index = index
    self.inside = inside
    self.gateway = gateway
  }
}

private let insideName = "eth0"
private let insideIndex: UInt32 = 2
private let up = UInt32(1)  // IFF_UP
private let acknowledge = UInt16(NLM_F_ACK)
private let create = UInt16(NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK)

/// Messages for the new (still empty) namespace: the pair, loopback up, address, default route to the gateway.
func linkMessages(inside link: VirtualLink, gatewayNamespace: Int32) -> NetlinkBatch {
  var batch = NetlinkBatch()
  batch.message(type: UInt16(RTM_NEWLINK), flags: create) { message in
    message.put(interface(index: insideIndex))
    message.attribute(IFLA_IFNAME, text: insideName)
    keepSmall(&message)
    message.nested(IFLA_LINKINFO) { information in
      information.attribute(IFLA_INFO_KIND, text: "veth")
      information.nested(IFLA_INFO_DATA) { data in
        data.nested(VETH_INFO_PEER) { peer in
          peer.put(interface(index: link.index))
          peer.attribute(IFLA_IFNAME, text: link.name)
          keepSmall(&peer)
          peer.attribute(IFLA_NET_NS_FD, number: UInt32(bitPattern: gatewayNamespace))
        }
      }
    }
  }
  setUp(1, &batch)
  setUp(insideIndex, &batch)
  batch.message(type: UInt16(RTM_NEWADDR), flags: create) { message in
    message.put(
      ifaddrmsg(ifa_family: UInt8(AF_INET), ifa_prefixlen: 32, ifa_flags: 0, ifa_scope: 0, ifa_index: insideIndex))
    message.attribute(IFA_LOCAL, link.inside.bytes)
    message.attribute(IFA_ADDRESS, link.inside.bytes)
  }
  route(to: link.gateway, device: insideIndex, &batch)
  batch.message(type: UInt16(RTM_NEWROUTE), flags: create) { message in
    message.put(routeHeader(prefix: 0, scope: RT_SCOPE_UNIVERSE))
    message.attribute(RTA_GATEWAY.rawValue, link.gateway.bytes)
    message.attribute(RTA_OIF.rawValue, number: insideIndex)
  }
  return batch
}

/// Messages for the gateway namespace: its end up, and the way back.
func linkMessages(outside link: VirtualLink) -> NetlinkBatch {
  var batch = NetlinkBatch()
  setUp(link.index, &batch)
  route(to: link.inside, device: link.index, &batch)
  return batch
}

/// Messages that bring a namespace's loopback up.
func loopbackMessages() -> NetlinkBatch {
  var batch = NetlinkBatch()
  setUp(1, &batch)
  return batch
}

/// Messages that give a namespace's loopback the gateway address.
func loopbackMessages(address: IPv4Address) -> NetlinkBatch {
  var batch = NetlinkBatch()
  setUp(1, &batch)
  batch.message(type: UInt16(RTM_NEWADDR), flags: create) { message in
    message.put(ifaddrmsg(ifa_family: UInt8(AF_INET), ifa_prefixlen: 32, ifa_flags: 0, ifa_scope: 0, ifa_index: 1))
    message.attribute(IFA_LOCAL, address.bytes)
    message.attribute(IFA_ADDRESS, address.bytes)
  }
  return batch
}

/// A link narrower than IPv6's smallest packet (1280, RFC 8200 section 5) never gets IPv6: no address, no router or neighbour
/// discovery, none of its settings to make and remove. And one queue is enough for one agent.
private func keepSmall(_ message: inout NetlinkBatch) {
  message.attribute(IFLA_MTU, number: 1279)
  message.attribute(IFLA_NUM_TX_QUEUES, number: 1)
  message.attribute(IFLA_NUM_RX_QUEUES, number: 1)
}

private func setUp(_ index: UInt32, _ batch: inout NetlinkBatch) {
  batch.message(type: UInt16(RTM_NEWLINK), flags: acknowledge) { message in
    message.put(interface(index: index, flags: up))
  }
}

private func interface(index: UInt32, flags: UInt32 = 0) -> ifinfomsg {
  ifinfomsg(
    ifi_family: 0, __ifi_pad: 0, ifi_type: 0, ifi_index: Int32(bitPattern: index), ifi_flags: flags, ifi_change: flags)
}

private func route(to address: IPv4Address, device: UInt32, _ batch: inout NetlinkBatch) {
  batch.message(type: UInt16(RTM_NEWROUTE), flags: create) { message in
    message.put(routeHeader(prefix: 32, scope: RT_SCOPE_LINK))
    message.attribute(RTA_DST.rawValue, address.bytes)
    message.attribute(RTA_OIF.rawValue, number: device)
  }
}

private func routeHeader(prefix: UInt8, scope: rt_scope_t) -> rtmsg {
  rtmsg(
    rtm_family: UInt8(AF_INET), rtm_dst_len: prefix, rtm_src_len: 0, rtm_tos: 0,
    rtm_table: UInt8(RT_TABLE_MAIN.rawValue), rtm_protocol: UInt8(RTPROT_STATIC), rtm_scope: UInt8(scope.rawValue),
    rtm_type: 1 /* RTN_UNICAST */, rtm_flags: 0)
}
