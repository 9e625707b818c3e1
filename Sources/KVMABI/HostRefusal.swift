public import Host
public import KVM

/// Does what the host may refuse; KVM's error for it has the same call and number.
public func refusing<Result: ~Copyable>(
  _ body: () throws(SystemError) -> Result
) throws(KVMError) -> Result {
  do throws(SystemError) {
    return try body()
  } catch {
    throw .refused(call: error.call, errno: error.errno)
  }
}
