/// The smallest value of an ascending list that at least this share of it doesn't exceed (nearest rank); nil of an empty one.
package func percentile(_ share: Double, of ascending: [Double]) -> Double? {
  guard let last = ascending.indices.last else { return nil }
  let rank = Int((Double(ascending.count) * share).rounded(.up))
  return ascending[min(last, max(0, rank - 1))]
}
