import Foundation
import HostBackends
import Testing

/// A locator over fresh directories with these kernels in them.
private func find(
  host: [String] = [], cache: [String] = [], release: String = "1.0"
) throws -> String {
  try withTemporaryDirectory { directory in
    var locator = KernelLocator()
    locator.release = release
    locator.hostDirectory = directory.appending(path: "boot").path
    locator.cacheDirectories = [directory.appending(path: "cache").path]
    for (folder, names) in [(locator.hostDirectory, host), (locator.cacheDirectories[0], cache)] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for name in names {
        try Data([0]).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
      }
    }
    let path = try locator.find()
    return String(path.dropFirst(directory.path.count + 1))
  }
}

@Test func `the kernel that the host runs comes first`() throws {
  let path = try find(
    host: ["vmlinuz-6.9.0", "vmlinuz-6.1.0", "config-7.0.0"], cache: ["vmlinuz-8"],
    release: "6.1.0")
  #expect(path == "boot/vmlinuz-6.1.0")
}

@Test func `of the host's others the newest counts, as a version`() throws {
  let path = try find(host: ["vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64"])
  #expect(path == "boot/vmlinuz-6.1.0-10-amd64")
}

@Test func `in the cache the cloud kernel is preferred`() throws {
  let path = try find(cache: ["vmlinuz-6.2.0-1-amd64", "vmlinuz-6.1.0-1-cloud-amd64"])
  #expect(path == "cache/vmlinuz-6.1.0-1-cloud-amd64")
}

@Test func `without any kernel the error says where it looked`() {
  #expect {
    _ = try find()
  } throws: { error in
    guard case .noKernel(let searched, let unreadable) = error as? KernelLocator.Failure else {
      return false
    }
    return searched.count == 2 && unreadable.isEmpty
  }
}
