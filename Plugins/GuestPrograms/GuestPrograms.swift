import Foundation
import PackagePlugin

/// Compiles the guest's first program (Guests/init) and hands it to the target as Swift source, so
/// that `apus` carries it and needs no file beside itself.
@main
struct GuestPrograms: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let root = context.package.directoryURL
    let sources = root.appending(path: "Guests/init")
    let script = root.appending(path: "Plugins/GuestPrograms/embed")
    let output = context.pluginWorkDirectoryURL.appending(path: "InitProgram.swift")
    let files = try FileManager.default.contentsOfDirectory(
      at: sources, includingPropertiesForKeys: nil)
    return [
      .buildCommand(
        displayName: "Compiling the guest's init", executable: URL(filePath: "/bin/sh"),
        arguments: [script.path, sources.path, output.path], inputFiles: files + [script],
        outputFiles: [output])
    ]
  }
}
