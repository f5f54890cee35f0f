import CLinux
import Glibc

/// The gateway namespace's packet filter (nftables over nfnetlink, no `nft` process).
///
/// One table with one chain at prerouting, where every packet from a sandbox passes (input would not see those to
/// foreign addresses), and one set of (interface, source, destination, port). What is not in the set is refused at
/// once; what can't be refused is dropped.
public struct PacketFilter: Sendable {
  /// One way that is open.
  public struct Way: Sendable, Hashable {
    /// Interface number in the gateway namespace.
    public var interface: UInt32
    /// The sandbox's address.
    public var source: IPv4Address
    /// The only address that it may reach.
    public var destination: IPv4Address
    /// TCP port.
    public var port: UInt16

    /// Opens exactly this.
    public init(interface: UInt32, source: IPv4Address, destination: IPv4Address, port: UInt16) {
      self.interface = interface
      self.source = source
      self.destination = destination
      self.port = port
    }

    /// The set's key: four 32-bit registers; the interface in host order, the rest as on the wire.
    var key: [UInt8] {
      withUnsafeBytes(of: interface) { Array($0) } + source.bytes + destination.bytes
        + [UInt8(port >> 8), UInt8(port & 0xff), 0, 0]
    }
  }

  private let socket: NetlinkSocket
  /// Name of table, in family inet.
  public static let table = "botburrow"

  /// Installs table, chain and set in the current namespace: closed for all.
  public init() throws(LinuxError) {
    socket = try NetlinkSocket.netfilter()
    try socket.exchange(filterMessages(), "table inet \(Self.table)")
  }

  /// Opens ways, all or none.
  public func open(_ ways: [Way]) throws(LinuxError) { try change(UInt16(NFT_MSG_NEWSETELEM.rawValue), ways) }
  /// Closes ways.
  public func close(_ ways: [Way]) throws(LinuxError) { try change(UInt16(NFT_MSG_DELSETELEM.rawValue), ways) }

  private func change(_ type: UInt16, _ ways: [Way]) throws(LinuxError) {
    if ways.isEmpty { return }
    try socket.exchange(elementMessages(type, ways), "set \(setName)")
  }
}

private let setName = "allowed"
private let chainName = "prerouting"
private let inet: UInt8 = 1  // NFPROTO_INET
private let subsystem = UInt16(NFNL_SUBSYS_NFTABLES) << 8

func elementMessages(_ type: UInt16, _ ways: [PacketFilter.Way]) -> NetlinkBatch {
  transaction { batch in
    let create = type == UInt16(NFT_MSG_NEWSETELEM.rawValue) ? UInt16(NLM_F_CREATE | NLM_F_EXCL) : 0
    object(type, create, &batch) { message in
      message.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: PacketFilter.table)
      message.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: setName)
      message.nested(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) { elements in
        for way in ways {
          elements.nested(NFTA_LIST_ELEM.rawValue) { element in
            element.nested(NFTA_SET_ELEM_KEY.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, way.key) }
          }
        }
      }
    }
  }
}

func filterMessages() -> NetlinkBatch {
  transaction { batch in
    let create = UInt16(NLM_F_CREATE | NLM_F_EXCL)
    object(UInt16(NFT_MSG_NEWTABLE.rawValue), create, &batch) {
      $0.attribute(NFTA_TABLE_NAME.rawValue, text: PacketFilter.table)
    }
    object(UInt16(NFT_MSG_NEWCHAIN.rawValue), create, &batch) { chain in
      chain.attribute(NFTA_CHAIN_TABLE.rawValue, text: PacketFilter.table)
      chain.attribute(NFTA_CHAIN_NAME.rawValue, text: chainName)
      chain.attribute(NFTA_CHAIN_TYPE.rawValue, text: "filter")
      chain.nested(NFTA_CHAIN_HOOK.rawValue) { hook in
        hook.attribute(NFTA_HOOK_HOOKNUM.rawValue, bigEndian: 0)  // NF_INET_PRE_ROUTING
        hook.attribute(NFTA_HOOK_PRIORITY.rawValue, bigEndian: UInt32(bitPattern: -300))  // NF_IP_PRI_RAW
      }
      chain.attribute(NFTA_CHAIN_POLICY.rawValue, bigEndian: 0)  // NF_DROP
    }
    object(UInt16(NFT_MSG_NEWSET.rawValue), create, &batch) { set in
      set.attribute(NFTA_SET_TABLE.rawValue, text: PacketFilter.table)
      set.attribute(NFTA_SET_NAME.rawValue, text: setName)
      set.attribute(NFTA_SET_ID.rawValue, bigEndian: 1)
      set.attribute(NFTA_SET_FLAGS.rawValue, bigEndian: 0)
      // What nft(8) shows the key as, six bits each: iface_index, ipv4_addr, ipv4_addr, inet_service.
      set.attribute(NFTA_SET_KEY_TYPE.rawValue, bigEndian: 20 << 18 | 7 << 12 | 7 << 6 | 13)
      set.attribute(NFTA_SET_KEY_LEN.rawValue, bigEndian: 16)
    }
    rule(&batch, [.meta(NFT_META_NFPROTO, 1), .equals(1, [2]), .meta(NFT_META_L4PROTO, 1), .equals(1, [6])] + way)
    rule(
      &batch,
      [.meta(NFT_META_L4PROTO, 1), .equals(1, [6]), .counter, .reject(type: 1 /* NFT_REJECT_TCP_RST */, code: 0)])
    rule(&batch, [.counter, .reject(type: 2 /* NFT_REJECT_ICMPX_UNREACH */, code: 3 /* admin-prohibited */)])
    rule(&batch, [.verdict(0)])
  }
}

/// IPv4 and TCP are known here: interface, source, destination and port in four neighbouring registers.
private let way: [Expression] = [
  .meta(NFT_META_IIF, 8), .payload(base: 1, offset: 12, length: 4, register: 9),
  .payload(base: 1, offset: 16, length: 4, register: 10), .payload(base: 2, offset: 2, length: 2, register: 11),
  .lookup(set: setName, register: 8), .verdict(1),
]

/// What a rule is made of (linux/netfilter/nf_tables.h). Register 1 is 16 bytes wide, 8…11 are 4 bytes each.
private enum Expression {
  case meta(nft_meta_keys, UInt32)
  case payload(base: UInt32, offset: UInt32, length: UInt32, register: UInt32)
  case equals(UInt32, [UInt8])
  case lookup(set: String, register: UInt32)
  case counter
  case reject(type: UInt32, code: UInt8)
  case verdict(UInt32)

  var name: String {
    switch self {
    case .meta: "meta"
    case .payload: "payload"
    case .equals: "cmp"
    case .lookup: "lookup"
    case .counter: "counter"
    case .reject: "reject"
    case .verdict: "immediate"
    }
  }

  func attributes(_ data: inout NetlinkBatch) {
    switch self {
    case .meta(let key, let register):
      data.attribute(NFTA_META_DREG.rawValue, bigEndian: register)
      data.attribute(NFTA_META_KEY.rawValue, bigEndian: key.rawValue)
    case .payload(let base, let offset, let length, let register):
      data.attribute(NFTA_PAYLOAD_DREG.rawValue, bigEndian: register)
      data.attribute(NFTA_PAYLOAD_BASE.rawValue, bigEndian: base)
      data.attribute(NFTA_PAYLOAD_OFFSET.rawValue, bigEndian: offset)
      data.attribute(NFTA_PAYLOAD_LEN.rawValue, bigEndian: length)
    case .equals(let register, let value):
      data.attribute(NFTA_CMP_SREG.rawValue, bigEndian: register)
      data.attribute(NFTA_CMP_OP.rawValue, bigEndian: 0)
      data.nested(NFTA_CMP_DATA.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, value) }
    case .lookup(let set, let register):
      data.attribute(NFTA_LOOKUP_SET.rawValue, text: set)
      data.attribute(NFTA_LOOKUP_SREG.rawValue, bigEndian: register)
      data.attribute(NFTA_LOOKUP_SET_ID.rawValue, bigEndian: 1)
    case .counter: break
    case .reject(let type, let code):
      data.attribute(NFTA_REJECT_TYPE.rawValue, bigEndian: type)
      data.attribute(NFTA_REJECT_ICMP_CODE.rawValue, [code])
    case .verdict(let code):
      data.attribute(NFTA_IMMEDIATE_DREG.rawValue, bigEndian: 0)
      data.nested(NFTA_IMMEDIATE_DATA.rawValue) { value in
        value.nested(NFTA_DATA_VERDICT.rawValue) { $0.attribute(NFTA_VERDICT_CODE.rawValue, bigEndian: code) }
      }
    }
  }
}

private func rule(_ batch: inout NetlinkBatch, _ expressions: [Expression]) {
  object(UInt16(NFT_MSG_NEWRULE.rawValue), UInt16(NLM_F_CREATE | NLM_F_APPEND), &batch) { rule in
    rule.attribute(NFTA_RULE_TABLE.rawValue, text: PacketFilter.table)
    rule.attribute(NFTA_RULE_CHAIN.rawValue, text: chainName)
    rule.nested(NFTA_RULE_EXPRESSIONS.rawValue) { list in
      for expression in expressions {
        list.nested(NFTA_LIST_ELEM.rawValue) { element in
          element.attribute(NFTA_EXPR_NAME.rawValue, text: expression.name)
          element.nested(NFTA_EXPR_DATA.rawValue) { expression.attributes(&$0) }
        }
      }
    }
  }
}

private func object(
  _ type: UInt16, _ flags: UInt16, _ batch: inout NetlinkBatch, _ build: (inout NetlinkBatch) -> Void
) {
  batch.message(type: subsystem | type, flags: flags | UInt16(NLM_F_ACK)) { message in
    message.put(nfgenmsg(nfgen_family: inet, version: 0, res_id: 0))
    build(&message)
  }
}

/// Wraps messages so that the kernel takes all or none.
private func transaction(_ build: (inout NetlinkBatch) -> Void) -> NetlinkBatch {
  var batch = NetlinkBatch()
  let marker = nfgenmsg(nfgen_family: 0, version: 0, res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian)
  batch.message(type: UInt16(NFNL_MSG_BATCH_BEGIN), flags: 0) { $0.put(marker) }
  build(&batch)
  batch.message(type: UInt16(NFNL_MSG_BATCH_END), flags: 0) { $0.put(marker) }
  return batch
}
