import CLinux

/// What a rule is made of (linux/netfilter/nf_tables.h). Register 1 is 16 bytes wide; 8…23 are 4 bytes each, and 8…11 lie
/// in the place of 1.
enum FilterExpression {
  case meta(nft_meta_keys, UInt32)
  case setMark(UInt32)
  case payload(base: UInt32, offset: UInt32, length: UInt32, register: UInt32)
  case equals(UInt32, [UInt8])
  case constant(UInt32, [UInt8])
  /// Goes on where the register's content is a key of the set, which counts it.
  case lookup(set: String, register: UInt32)
  /// The same for a map, whose value goes to another register; 0 is the verdict.
  case map(String, register: UInt32, to: UInt32)
  /// Counts the key, as a new element while there is room; otherwise the rule ends.
  case count(set: String, register: UInt32)
  case counter
  case reject(type: UInt32, code: UInt8)
  case verdict(Int32)

  /// The kernel's name of it.
  var name: String {
    switch self {
    case .meta, .setMark: "meta"
    case .payload: "payload"
    case .equals: "cmp"
    case .lookup, .map: "lookup"
    case .count: "dynset"
    case .counter: "counter"
    case .reject: "reject"
    case .constant, .verdict: "immediate"
    }
  }

  private func attributes(_ data: inout NetlinkBatch) {
    switch self {
    case .meta(let key, let register):
      data.attribute(NFTA_META_DREG.rawValue, bigEndian: register)
      data.attribute(NFTA_META_KEY.rawValue, bigEndian: key.rawValue)
    case .setMark(let register):
      data.attribute(NFTA_META_KEY.rawValue, bigEndian: NFT_META_MARK.rawValue)
      data.attribute(NFTA_META_SREG.rawValue, bigEndian: register)
    case .payload(let base, let offset, let length, let register):
      data.attribute(NFTA_PAYLOAD_DREG.rawValue, bigEndian: register)
      data.attribute(NFTA_PAYLOAD_BASE.rawValue, bigEndian: base)
      data.attribute(NFTA_PAYLOAD_OFFSET.rawValue, bigEndian: offset)
      data.attribute(NFTA_PAYLOAD_LEN.rawValue, bigEndian: length)
    case .equals(let register, let value):
      data.attribute(NFTA_CMP_SREG.rawValue, bigEndian: register)
      data.attribute(NFTA_CMP_OP.rawValue, bigEndian: 0)
      data.nested(NFTA_CMP_DATA.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, value) }
    case .constant(let register, let value):
      data.attribute(NFTA_IMMEDIATE_DREG.rawValue, bigEndian: register)
      data.nested(NFTA_IMMEDIATE_DATA.rawValue) { $0.attribute(NFTA_DATA_VALUE.rawValue, value) }
    case .lookup(let set, let register):
      data.attribute(NFTA_LOOKUP_SET.rawValue, text: set)
      data.attribute(NFTA_LOOKUP_SREG.rawValue, bigEndian: register)
    case .map(let set, let register, let target):
      data.attribute(NFTA_LOOKUP_SET.rawValue, text: set)
      data.attribute(NFTA_LOOKUP_SREG.rawValue, bigEndian: register)
      data.attribute(NFTA_LOOKUP_DREG.rawValue, bigEndian: target)
    case .count(let set, let register):
      data.attribute(NFTA_DYNSET_SET_NAME.rawValue, text: set)
      data.attribute(NFTA_DYNSET_OP.rawValue, bigEndian: NFT_DYNSET_OP_UPDATE.rawValue)
      data.attribute(NFTA_DYNSET_SREG_KEY.rawValue, bigEndian: register)
      data.nested(NFTA_DYNSET_EXPR.rawValue) { FilterExpression.counter.put(&$0) }
    case .counter: break
    case .reject(let type, let code):
      data.attribute(NFTA_REJECT_TYPE.rawValue, bigEndian: type)
      data.attribute(NFTA_REJECT_ICMP_CODE.rawValue, [code])
    case .verdict(let code):
      data.attribute(NFTA_IMMEDIATE_DREG.rawValue, bigEndian: 0)
      data.nested(NFTA_IMMEDIATE_DATA.rawValue) { value in
        value.nested(NFTA_DATA_VERDICT.rawValue) {
          $0.attribute(NFTA_VERDICT_CODE.rawValue, bigEndian: UInt32(bitPattern: code))
        }
      }
    }
  }

  /// Writes name and attributes.
  func put(_ batch: inout NetlinkBatch) {
    batch.attribute(NFTA_EXPR_NAME.rawValue, text: name)
    batch.nested(NFTA_EXPR_DATA.rawValue) { attributes(&$0) }
  }
}
