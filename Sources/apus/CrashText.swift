import KVM
import Machine
import X86

extension RunEnd {
  /// What to say of an end that the guest did not mean; `nil` for the others.
  var diagnosis: String? {
    switch self {
    case .poweredOff, .reset, .exited, .stopped: nil
    case .crashed(let report):
      "the guest crashed with a triple fault (\(report.place)).\n\(report.details)"
    case .halted(let report):
      "the guest's processor halted for good (\(report.place)).\n\(report.table)"
    case .unexpected(let stop, let report):
      "the guest's processor stopped: \(stop.phrase) (\(report.place)).\n\(report.details)"
    case .failed(let error): "the guest cannot go on: \(error.sentence)"
    }
  }
}

extension Stop {
  fileprivate var phrase: String {
    switch self {
    case .failedEntry(let reason, _):
      "the host's processor refused its state (\(hexadecimal(reason)))"
    case .internalError(let error): "the hypervisor cannot carry on (\(error))"
    case .unknown(let reason): "the hypervisor gave reason \(reason), which Apus does not know"
    case .systemEvent(let event): "the hypervisor reports \(event)"
    case .memoryFault(let fault):
      "the host has no memory behind guest address \(hexadecimal(fault.address))"
    default: "\(self)"
    }
  }
}

extension ProcessorReport {
  /// Which processor it was, and what it was doing.
  var place: String {
    "processor \(processor), \(mode) mode, privilege \(specialRegisters.ss.attributes[.privilege])"
  }

  private var mode: String {
    if specialRegisters.efer.contains(.longModeActive) {
      specialRegisters.cs.attributes[.long] ? "64-bit" : "compatibility"
    } else if specialRegisters.cr0.contains(.protection) {
      specialRegisters.cr0.contains(.paging) ? "paged protected" : "protected"
    } else {
      "real"
    }
  }

  /// The registers that tell most, in rows of three.
  var rows: [[(name: String, value: UInt64)]] {
    let (general, special) = (registers, specialRegisters)
    return [
      [("rip", general.rip), ("rsp", general.rsp), ("rflags", general.rflags.rawValue)],
      [("rax", general.rax), ("rbx", general.rbx), ("rcx", general.rcx)],
      [("rdx", general.rdx), ("rsi", general.rsi), ("rdi", general.rdi)],
      [("rbp", general.rbp), ("r8", general.r8), ("r9", general.r9)],
      [("r10", general.r10), ("r11", general.r11), ("r12", general.r12)],
      [("r13", general.r13), ("r14", general.r14), ("r15", general.r15)],
      [("cr0", special.cr0.rawValue), ("cr2", special.cr2), ("cr3", special.cr3)],
      [("cr4", special.cr4.rawValue), ("efer", special.efer.rawValue), ("idt", special.idt.base)],
    ]
  }

  /// The registers and the instruction that they stand at, for people.
  var details: String {
    table + (instructionText.map { "\n    code \($0)" } ?? "")
  }

  /// The registers for people.
  var table: String {
    rows.map { row in
      row.map { name, value in
        String(repeating: " ", count: 8 - name.count) + name + " " + padded(value)
      }.joined()
    }.joined(separator: "\n")
  }

  private func padded(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
