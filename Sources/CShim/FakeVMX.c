// Lets a program's own CPUID instructions show VMX and SVM, on which some insist before they ask
// KVM (kvmtool does). Each becomes an undefined instruction, and is carried out when that traps.
#include "Next.h"

#include <cpuid.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { VMX = 1 << 5, SVM = 1 << 2, SITES = 256 };

static uintptr_t sites[SITES];
static int site_count;

static void on_illegal(int number, siginfo_t *info, void *context) {
  (void)info;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  for (int i = 0; i < site_count; i++) {
    if (sites[i] != (uintptr_t)registers[REG_RIP]) continue;
    uint32_t leaf = (uint32_t)registers[REG_RAX], a, b, c, d;
    __cpuid_count(leaf, (uint32_t)registers[REG_RCX], a, b, c, d);
    if (leaf == 1) c |= VMX;
    if (leaf == 0x80000001) c |= SVM;
    registers[REG_RAX] = a, registers[REG_RBX] = b;
    registers[REG_RCX] = c, registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
    return;
  }
  // The program's own: it happens again, and ends the program.
  struct sigaction none = {.sa_handler = SIG_DFL};
  sigaction(number, &none, NULL);
}

/// CPUID is 0F A2, UD2 is 0F 0B.
static void replace(uint8_t *site) {
  uintptr_t page = (uintptr_t)site & ~(uintptr_t)4095;
  size_t size = (uintptr_t)site + 2 - page;
  if (mprotect((void *)page, size, PROT_READ | PROT_WRITE) != 0) return;
  site[1] = 0x0b;
  mprotect((void *)page, size, PROT_READ | PROT_EXEC);
  sites[site_count++] = (uintptr_t)site;
}

static int visit(struct dl_phdr_info *info, size_t size, void *nothing) {
  (void)size, (void)nothing;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    uint8_t *start = (uint8_t *)info->dlpi_addr + part->p_vaddr;
    size_t offset = 0;
    while (site_count < SITES) {
      offset = apus_shim_find_cpuid(start, part->p_filesz, offset);
      if (offset >= part->p_filesz) break;
      replace(start + offset);
      offset += 2;
    }
  }
  // The first is the program itself, which is all.
  return 1;
}

__attribute__((constructor)) static void show_vmx(void) {
  if (getenv("APUS_KVM_FAKE_VMX") == NULL) return;
  struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  apus_next()->sigaction(SIGILL, &action, NULL);
  dl_iterate_phdr(visit, NULL);
}
