import CLinux
import Glibc

private let allowed = "allowed"
private let watched = "watched"
private let slots = "slots"
private let withPorts = "with-ports"
private let prerouting = "prerouting"
private func slotSet(_ slot: UInt32) -> String { "denied-\(slot)" }
private func slotChain(_ slot: UInt32) -> String { "count-\(slot)" }

private let inet: UInt8 = 1  // NFPROTO_INET
private let subsystem = UInt16(NFNL_SUBSYS_NFTABLES) << 8
private let create = UInt16(NLM_F_CREATE | NLM_F_EXCL)
private let accept: Int32 = 1  // NF_ACCEPT
private let drop: Int32 = 0  // NF_DROP
private let jump = NFT_JUMP.rawValue
private let returns = NFT_RETURN.rawValue
private let verdictType: UInt32 = 0xffff_ff00  // NFT_DATA_VERDICT

// What nft(8) shows keys and values as; in a key of several, six bits each.
private let mark: UInt32 = 19
private let interfaceIndex: UInt32 = 20
private let internetProtocol: UInt32 = 12
private let wayType: UInt32 = 20 << 18 | 7 << 12 | 7 << 6 | 13  // iface_index, ipv4_addr, ipv4_addr, inet_service
private let denialType: UInt32 = 20 << 18 | 8 << 12 | 12 << 6 | 13  // iface_index, ipv6_addr, inet_proto, inet_service

/// The rules at prerouting, in their order.
let preroutingRules: [[FilterExpression]] = [
  // IPv4 and TCP: interface, source, destination and port in four neighbouring registers.
  [
    .meta(NFT_META_NFPROTO, 1), .equals(1, [2]), .meta(NFT_META_L4PROTO, 1), .equals(1, [6]), .meta(NFT_META_IIF, 8),
    .payload(base: 1, offset: 12, length: 4, register: 9), .payload(base: 1, offset: 16, length: 4, register: 10),
    .payload(base: 2, offset: 2, length: 2, register: 11), .lookup(set: allowed, register: 8), .verdict(accept),
  ],
  // The interface's slot, and that slot's chain: in two maps, for one whose values are chains makes the kernel check all
  // chains again whenever it changes. The slot goes through the packet's mark only so that nft(8) can show the rule.
  [
    .meta(NFT_META_IIF, 1), .map(watched, register: 1, to: 1), .setMark(1), .meta(NFT_META_MARK, 1),
    .map(slots, register: 1, to: 0),
  ],
  [.meta(NFT_META_L4PROTO, 1), .equals(1, [6]), .counter, .reject(type: 1 /* NFT_REJECT_TCP_RST */, code: 0)],
  [.counter, .reject(type: 2 /* NFT_REJECT_ICMPX_UNREACH */, code: 3 /* admin-prohibited */)],
  [.verdict(drop)],
]

/// A slot's rules: key is interface, destination (IPv4 as ::ffff:a.b.c.d), protocol and port in registers 8 to 14. Later
/// fragments have no port, so that they fall to the rules without.
private func slotRules(_ slot: UInt32) -> [[FilterExpression]] {
  let ipv4: [FilterExpression] = [
    .meta(NFT_META_NFPROTO, 1), .equals(1, [2]), .constant(9, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
    .payload(base: 1, offset: 16, length: 4, register: 12),
  ]
  let ipv6: [FilterExpression] = [
    .meta(NFT_META_NFPROTO, 1), .equals(1, [10]), .payload(base: 1, offset: 24, length: 16, register: 9),
  ]
  let port: [FilterExpression] = [
    .meta(NFT_META_L4PROTO, 13), .lookup(set: withPorts, register: 13),
    .payload(base: 2, offset: 2, length: 2, register: 14),
  ]
  let noPort: [FilterExpression] = [.meta(NFT_META_L4PROTO, 13), .constant(14, [0, 0, 0, 0])]
  return [ipv4, ipv6].flatMap { address in
    [port, noPort].map { transport in
      address + transport + [.meta(NFT_META_IIF, 8), .count(set: slotSet(slot), register: 8), .verdict(returns)]
    }
  }
}

/// Table, sets and the chain at prerouting.
func filterMessages() -> NetlinkBatch {
  transaction { batch in
    object(UInt16(NFT_MSG_NEWTABLE.rawValue), create, &batch) {
      $0.attribute(NFTA_TABLE_NAME.rawValue, text: PacketFilter.table)
    }
    object(UInt16(NFT_MSG_NEWCHAIN.rawValue), create, &batch) { chain in
      chain.attribute(NFTA_CHAIN_TABLE.rawValue, text: PacketFilter.table)
      chain.attribute(NFTA_CHAIN_NAME.rawValue, text: prerouting)
      chain.attribute(NFTA_CHAIN_TYPE.rawValue, text: "filter")
      chain.nested(NFTA_CHAIN_HOOK.rawValue) { hook in
        hook.attribute(NFTA_HOOK_HOOKNUM.rawValue, bigEndian: 0)  // NF_INET_PRE_ROUTING
        hook.attribute(NFTA_HOOK_PRIORITY.rawValue, bigEndian: UInt32(bitPattern: -300))  // NF_IP_PRI_RAW
      }
      chain.attribute(NFTA_CHAIN_POLICY.rawValue, bigEndian: UInt32(bitPattern: drop))
    }
    newSet(allowed, id: 1, key: (wayType, 16), &batch)
    newSet(watched, id: 2, key: (interfaceIndex, 4), &batch) { set in
      set.attribute(NFTA_SET_DATA_TYPE.rawValue, bigEndian: mark)
      set.attribute(NFTA_SET_DATA_LEN.rawValue, bigEndian: 4)
      set.nested(NFTA_SET_EXPR.rawValue) { FilterExpression.counter.put(&$0) }
    }
    newSet(slots, id: 3, key: (mark, 4), &batch) {
      $0.attribute(NFTA_SET_DATA_TYPE.rawValue, bigEndian: verdictType)
    }
    newSet(withPorts, id: 4, key: (internetProtocol, 1), &batch)
    // TCP, UDP, DCCP, SCTP, UDP-Lite: source and destination port come first in all of them.
    change(.newElements, withPorts, [6, 17, 33, 132, 136].map { FilterEntry([$0]) }, &batch)
    for expressions in preroutingRules { rule(prerouting, expressions, &batch) }
  }
}

/// A set and a chain for each of new slots.
func slotMessages(_ numbers: Range<UInt32>) -> NetlinkBatch {
  transaction { batch in
    for slot in numbers {
      newSet(slotSet(slot), id: 1 + slot - numbers.lowerBound, key: (denialType, 28), flags: NFT_SET_EVAL, &batch) {
        $0.nested(NFTA_SET_DESC.rawValue) {
          $0.attribute(NFTA_SET_DESC_SIZE.rawValue, bigEndian: UInt32(PacketFilter.destinationLimit))
        }
      }
      object(UInt16(NFT_MSG_NEWCHAIN.rawValue), create, &batch) { chain in
        chain.attribute(NFTA_CHAIN_TABLE.rawValue, text: PacketFilter.table)
        chain.attribute(NFTA_CHAIN_NAME.rawValue, text: slotChain(slot))
      }
      for expressions in slotRules(slot) { rule(slotChain(slot), expressions, &batch) }
    }
    change(.newElements, slots, numbers.map { FilterEntry(number($0), .chain(slotChain($0))) }, &batch)
  }
}

/// What opens a sandbox's ways and begins to count.
func openMessages(_ gate: PacketFilter.Gate) -> NetlinkBatch {
  transaction { batch in
    let watch = FilterEntry(number(gate.interface), .number(gate.slot))
    change(.newElements, watched, [watch], &batch)
    change(.newElements, allowed, gate.ways.map { FilterEntry($0.key) }, &batch)
  }
}

/// What closes them and ends it; `empties` where there is something in the slot.
func closeMessages(_ gate: PacketFilter.Gate, empties: Bool) -> NetlinkBatch {
  transaction { batch in
    change(.deleteElements, watched, [FilterEntry(number(gate.interface))], &batch)
    change(.deleteElements, allowed, gate.ways.map { FilterEntry($0.key) }, &batch)
    if empties { flush(slotSet(gate.slot), &batch) }
  }
}

/// Asks for an interface's counter.
func watchQuery(_ gate: PacketFilter.Gate) -> NetlinkBatch {
  var batch = NetlinkBatch()
  object(UInt16(NFT_MSG_GETSETELEM.rawValue), 0, &batch) {
    elements(of: watched, [FilterEntry(number(gate.interface))], &$0)
  }
  return batch
}

/// Asks for all that is counted in a slot.
func slotQuery(_ gate: PacketFilter.Gate) -> NetlinkBatch { listing(slotSet(gate.slot)) }
/// Asks for every open way.
func allowedQuery() -> NetlinkBatch { listing(allowed) }
/// Asks for every interface that has a slot.
func watchedQuery() -> NetlinkBatch { listing(watched) }

private func listing(_ set: String) -> NetlinkBatch {
  listing(NFT_MSG_GETSETELEM) { elements(of: set, [], &$0) }
}

/// Asks for all tables of the namespace.
func tablesQuery() -> NetlinkBatch { listing(NFT_MSG_GETTABLE, family: 0) { _ in } }
/// Asks for all chains of the namespace.
func chainsQuery() -> NetlinkBatch { listing(NFT_MSG_GETCHAIN, family: 0) { _ in } }
/// Asks for the rules at prerouting.
func rulesQuery() -> NetlinkBatch {
  listing(NFT_MSG_GETRULE) { rules in
    rules.attribute(NFTA_RULE_TABLE.rawValue, text: PacketFilter.table)
    rules.attribute(NFTA_RULE_CHAIN.rawValue, text: prerouting)
  }
}

private func listing(
  _ type: nf_tables_msg_types, family: UInt8 = inet, _ build: (inout NetlinkBatch) -> Void
) -> NetlinkBatch {
  var batch = NetlinkBatch()
  object(UInt16(type.rawValue), UInt16(NLM_F_DUMP), family: family, &batch, build)
  return batch
}

/// An element that is to be made, deleted or found.
private struct FilterEntry {
  enum Value { case none, number(UInt32), chain(String) }
  var key: [UInt8]
  var value: Value

  init(_ key: [UInt8], _ value: Value = .none) {
    self.key = key
    self.value = value
  }
}

private enum Change { case newElements, deleteElements }

private func change(_ change: Change, _ set: String, _ entries: [FilterEntry], _ batch: inout NetlinkBatch) {
  // A message without elements would delete all there are.
  if entries.isEmpty { return }
  let isNew = change == .newElements
  let type = isNew ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM
  object(UInt16(type.rawValue), isNew ? create : 0, &batch) { elements(of: set, entries, &$0) }
}

private func flush(_ set: String, _ batch: inout NetlinkBatch) {
  object(UInt16(NFT_MSG_DELSETELEM.rawValue), 0, &batch) { elements(of: set, [], &$0) }
}

private func elements(of set: String, _ entries: [FilterEntry], _ message: inout NetlinkBatch) {
  message.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: PacketFilter.table)
  message.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: set)
  if entries.isEmpty { return }
  message.nested(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) { list in
    for entry in entries {
      list.nested(NFTA_LIST_ELEM.rawValue) { element in
        element.nested(NFTA_SET_ELEM_KEY.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, entry.key) }
        switch entry.value {
        case .none: break
        case .number(let value):
          element.nested(NFTA_SET_ELEM_DATA.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, number(value)) }
        case .chain(let name):
          element.nested(NFTA_SET_ELEM_DATA.rawValue) { data in
            data.nested(NFTA_DATA_VERDICT.rawValue) { verdict in
              verdict.attribute(NFTA_VERDICT_CODE.rawValue, bigEndian: UInt32(bitPattern: jump))
              verdict.attribute(NFTA_VERDICT_CHAIN.rawValue, text: name)
            }
          }
        }
      }
    }
  }
}

/// As the kernel holds interface numbers and marks in registers.
private func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

private func newSet(
  _ name: String, id: UInt32, key: (type: UInt32, length: UInt32), flags: nft_set_flags? = nil,
  _ batch: inout NetlinkBatch, _ more: (inout NetlinkBatch) -> Void = { _ in }
) {
  let isMap = name == watched || name == slots
  object(UInt16(NFT_MSG_NEWSET.rawValue), create, &batch) { set in
    set.attribute(NFTA_SET_TABLE.rawValue, text: PacketFilter.table)
    set.attribute(NFTA_SET_NAME.rawValue, text: name)
    set.attribute(NFTA_SET_ID.rawValue, bigEndian: id)
    set.attribute(NFTA_SET_FLAGS.rawValue, bigEndian: isMap ? NFT_SET_MAP.rawValue : flags?.rawValue ?? 0)
    set.attribute(NFTA_SET_KEY_TYPE.rawValue, bigEndian: key.type)
    set.attribute(NFTA_SET_KEY_LEN.rawValue, bigEndian: key.length)
    // For nft(8): the key is in the host's byte order (KEYBYTEORDER of libnftnl's udata.h).
    if isMap { set.attribute(NFTA_SET_USERDATA.rawValue, [0, 4, 1, 0, 0, 0]) }
    more(&set)
  }
}

private func rule(_ chain: String, _ expressions: [FilterExpression], _ batch: inout NetlinkBatch) {
  object(UInt16(NFT_MSG_NEWRULE.rawValue), UInt16(NLM_F_CREATE | NLM_F_APPEND), &batch) { rule in
    rule.attribute(NFTA_RULE_TABLE.rawValue, text: PacketFilter.table)
    rule.attribute(NFTA_RULE_CHAIN.rawValue, text: chain)
    rule.nested(NFTA_RULE_EXPRESSIONS.rawValue) { list in
      for expression in expressions { list.nested(NFTA_LIST_ELEM.rawValue) { expression.put(&$0) } }
    }
  }
}

private func object(
  _ type: UInt16, _ flags: UInt16, family: UInt8 = inet, _ batch: inout NetlinkBatch,
  _ build: (inout NetlinkBatch) -> Void
) {
  batch.message(type: subsystem | type, flags: flags | UInt16(NLM_F_ACK)) { message in
    message.put(nfgenmsg(nfgen_family: family, version: 0, res_id: 0))
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
