import ArgumentParser

@main
struct Apus: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "Runs virtual machines, with or without hardware virtualization.",
    subcommands: [Probe.self])
}
