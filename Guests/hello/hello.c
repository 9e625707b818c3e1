/* Prints "Hello, world!", writes 42 to [0x400] and ends with 42 in EAX or RAX, as the guests of
 * kvm-hello-world do. For every mode but real.
 *
 * Build: gcc -m32 (or -m64) -Os -ffreestanding -fno-pic -mno-red-zone -mgeneral-regs-only -nostdlib
 *        -static -Wl,-z,noseparate-code -Wl,-Ttext-segment=0x100000 -Wl,--build-id=none
 *        -o hello hello.c
 * Run:   apus bare [--mode protected|paged|long] hello
 */
__attribute__((noreturn)) void _start(void) {
  for (const char *text = "Hello, world!\n"; *text; text++)
    __asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((unsigned short)0xe9));
  __asm__ volatile("mov %0, 0x400" : : "r"(42L) : "memory");
  for (;;) __asm__ volatile("hlt" : : "a"(42L) : "memory");
}
