import HostBackends

/// The directories that a guest shares with its host, and which of them its first program mounts.
struct SharePlan {
  private(set) var shares: [ShareOptions] = []
  private(set) var mounts: [Initramfs.Mount] = []

  init(_ arguments: Run) throws(Failure) {
    var wanted = arguments.shares
    if arguments.root == .host {
      if arguments.initrd != nil {
        throw Failure(
          "--root host is for the initial RAM disk that Apus makes; leave out --initrd.")
      }
      wanted.insert(ShareArgument(path: "/", place: "/", isReadOnly: true), at: 0)
    }
    wanted += arguments.writable.map { path in
      let full = path.hasPrefix("/") ? path : "\(HostCaller.directory)/\(path)"
      return ShareArgument(path: full, place: full)
    }
    for (number, share) in wanted.enumerated() {
      if share.isMounted && arguments.initrd != nil {
        throw Failure(
          "\(share.place) is a path, and a guest with --initrd mounts by itself; give the share a "
            + "tag: --share \(share.path):TAG.")
      }
      let tag = share.isMounted ? "share\(number)" : share.place
      if tag.utf8.count > 36 {
        throw Failure("the tag \(tag) is too long; a guest knows the first 36 bytes of one.")
      }
      shares.append(ShareOptions(path: share.path, tag: tag, isReadOnly: share.isReadOnly))
      if share.isMounted { mounts.append(Initramfs.Mount(tag: tag, path: share.place)) }
    }
  }
}
