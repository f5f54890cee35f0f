import CInit
@c(Init_main)
public func initMain(_ argc: CInt, _ argv: UnsafeMutableRawPointer?) -> CInt { 0 }
