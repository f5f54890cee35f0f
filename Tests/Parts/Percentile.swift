/// The value below which this share of an ascending list lies; nil of an empty one.
package func percentile(_ share: Double, of ascending: [Double]) -> Double? {
  guard let last = ascending.indices.last else { return nil }
  return ascending[min(last, Int((Double(last) * share).rounded(.up)))]
}
